#include "tests/matrix/bank.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

const char* const kTransfer =
    "WITH moved AS (UPDATE public.users SET turn = turn + 1, balance = balance + CASE user_id WHEN $1::bigint THEN -1 ELSE 1 END "
    "WHERE user_id IN ($1::bigint, $2::bigint) AND keyshift.must_own('public.users', $1::bigint) RETURNING user_id, turn) "
    "INSERT INTO public.posts SELECT user_id, turn, 'transfer' FROM moved";

} // namespace

Bank::Bank(const FaultyCluster& cluster, const std::vector<int>& buckets, int users, int modulus) : cluster_(cluster)
{
    std::map<int, std::vector<int>> by_bucket;
    for (int user = 1; user <= users; ++user) {
        by_bucket[cluster.bucket_of(user, modulus)].push_back(user);
    }
    for (const int bucket : buckets) {
        users_.push_back(by_bucket.at(bucket));
    }
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

Bank::~Bank() = default;

void Bank::pause()
{
    std::unique_lock lock(mutex_);
    paused_ = true;
    changed_.wait(lock, [this] { return idle_; });
}

void Bank::resume()
{
    const std::scoped_lock lock(mutex_);
    paused_ = false;
    changed_.notify_all();
}

int Bank::transfers() const
{
    const std::scoped_lock lock(mutex_);
    return transfers_;
}

std::vector<std::string> Bank::errors() const
{
    const std::scoped_lock lock(mutex_);
    return errors_;
}

void Bank::raised(const FaultyCluster& cluster, int by, int bucket)
{
    const std::scoped_lock lock(mutex_);
    for (const auto& users : users_) {
        if (cluster.bucket_of(users.front()) == bucket) {
            acknowledged_[users.front()] += by;
        }
    }
}

void Bank::run(const std::stop_token& stop)
{
    while (sleep_for(2ms, stop)) {
        {
            std::unique_lock lock(mutex_);
            idle_ = paused_;
            changed_.notify_all();
            if (!changed_.wait(lock, stop, [this] { return !paused_; })) {
                return;
            }
            idle_ = false;
        }
        transfer(users_.at(random_() % users_.size()), stop);
    }
}

void Bank::transfer(const std::vector<int>& users, const std::stop_token& stop)
{
    const int from = users.at(random_() % users.size());
    int to = from;
    while (to == from) {
        to = users.at(random_() % users.size());
    }
    while (sleep_for(1ms, stop)) {
        const Answer answer = try_once(node_, from, to);
        const std::scoped_lock lock(mutex_);
        if (answer == Answer::done || answer == Answer::unknown) {
            auto& count = answer == Answer::done ? acknowledged_ : unknown_;
            ++count[from];
            ++count[to];
            transfers_ += answer == Answer::done ? 1 : 0;
            return;
        }
        if (answer == Answer::elsewhere) {
            node_ = 3 - node_;
        }
        if (paused_) {
            return; // nobody takes it now: it is no transfer
        }
    }
}

Bank::Answer Bank::try_once(int node, int from, int to)
{
    auto& connection = connections_[node];
    try {
        if (!connection) {
            connection = std::make_unique<pg::Connection>(cluster_.connect(node));
        }
    } catch (const Error&) {
        return Answer::again;
    }
    try {
        const auto result = connection->query(kTransfer, {std::to_string(from), std::to_string(to)});
        if (result.affected() != 2) {
            const std::scoped_lock lock(mutex_);
            errors_.push_back(fmt::format("a transfer found {} rows of 2", result.affected()));
        }
        return Answer::done;
    } catch (const pg::SqlError& error) {
        if (error.sqlstate() != "KS001") {
            const std::scoped_lock lock(mutex_);
            errors_.emplace_back(error.what());
        }
        return Answer::elsewhere;
    } catch (const pg::TransientSqlError& error) {
        if (error.sqlstate().starts_with("40") || error.sqlstate() == "55P03") {
            return Answer::again;
        }
    } catch (const Error&) {
        // The connection is lost with its answer.
    }
    connection.reset();
    return Answer::unknown;
}

std::map<int, Account> Bank::accounts() const
{
    std::map<int, Account> all;
    for (const int node : {1, 2}) {
        pg::Connection connection = cluster_.connect(node);
        const auto rows = connection.query(
            "SELECT user_id, turn, balance FROM public.users WHERE keyshift.owns('public.users', user_id::text)");
        for (int row = 0; row < rows.rows(); ++row) {
            const auto user = static_cast<int>(rows.integer(row, 0));
            const Account account{static_cast<int>(rows.integer(row, 1)), static_cast<int>(rows.integer(row, 2))};
            if (!all.emplace(user, account).second) {
                throw std::runtime_error(fmt::format("user {} is on two nodes", user));
            }
        }
    }
    return all;
}

std::string Bank::lost() const
{
    const std::map<int, Account> all = accounts();
    const std::scoped_lock lock(mutex_);
    for (const auto& users : users_) {
        int sum = 0;
        for (const int user : users) {
            if (!all.contains(user)) {
                return fmt::format("user {} is nowhere", user);
            }
            const Account& account = all.at(user);
            const auto known = acknowledged_.find(user);
            const auto maybe = unknown_.find(user);
            const int least = known == acknowledged_.end() ? 0 : known->second;
            const int most = least + (maybe == unknown_.end() ? 0 : maybe->second);
            if (account.turn < least || account.turn > most) {
                return fmt::format("user {} has {} transfers, acknowledged are {}, at most {}", user, account.turn,
                                   least, most);
            }
            sum += account.balance;
        }
        if (sum != 0) {
            return fmt::format("the balances of user {} and the others of the bucket add up to {}", users.front(), sum);
        }
    }
    for (const int node : {1, 2}) {
        const std::string wrong = cluster_.value(
            node,
            "SELECT format('user %s has %s transfers and %s posts', u.user_id, u.turn, count(p)) FROM public.users u "
            "LEFT JOIN public.posts p USING (user_id) WHERE keyshift.owns('public.users', u.user_id::text) "
            "GROUP BY u.user_id, u.turn HAVING count(p) <> u.turn LIMIT 1");
        if (!wrong.empty()) {
            return wrong;
        }
    }
    return "";
}

} // namespace keyshift::test

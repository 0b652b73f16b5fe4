#include "tests/resharder/writer.hpp"

#include "core/backoff.hpp"

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

const char* const kPutUser =
    "WITH u AS (INSERT INTO public.users (user_id, name) VALUES ($1, $2) "
    "ON CONFLICT (user_id) DO UPDATE SET name = excluded.name RETURNING user_id) SELECT FROM u";
const char* const kPutPost = "INSERT INTO public.posts (user_id, post_id, content) VALUES ($1, 1, $2) "
                             "ON CONFLICT (user_id, post_id) DO UPDATE SET content = excluded.content";
const char* const kRemoveUser =
    "DELETE FROM public.users WHERE user_id = $1 AND keyshift.must_own('public.users', $1::bigint) AND $2::text <> ''";

} // namespace

Writer::Writer(Connect connect, int seed)
    : connect_(std::move(connect)), random_(static_cast<unsigned>(seed)), base_(1'000'000LL * seed),
      thread_([this](std::stop_token stop) { run(std::move(stop)); })
{
}

void Writer::stop()
{
    thread_.request_stop();
    thread_.join();
}

void Writer::run(std::stop_token stop)
{
    connections_.emplace("n1", connect_("n1"));
    connections_.emplace("n2", connect_("n2"));
    while (sleep_for(1ms, stop)) {
        const std::int64_t user = base_ + static_cast<std::int64_t>(random_() % 200);
        const std::string text = "w" + std::to_string(++count_);
        if (random_() % 10 == 0 && acknowledged_.contains(user)) {
            if (write(user, kRemoveUser, text)) {
                acknowledged_[user].clear();
            }
        } else if (write(user, kPutUser, text)) {
            acknowledged_[user] = text;
            write(user, kPutPost, text);
        }
    }
}

bool Writer::write(std::int64_t user, const std::string& sql, const std::string& text)
{
    const std::string id = std::to_string(user);
    for (int tries = 0; tries < 10'000; ++tries) {
        try {
            connections_.at(tried_).query(sql, {id, text});
            return true;
        } catch (const pg::SqlError& error) {
            if (error.sqlstate() != "KS001") {
                errors_.emplace_back(error.what());
                return false;
            }
            ++redirected_;
            tried_ = tried_ == "n1" ? "n2" : "n1";
            sleep_for(1ms, std::stop_token());
        } catch (const Error& error) {
            errors_.emplace_back(error.what());
            return false;
        }
    }
    errors_.emplace_back("no node took the write");
    return false;
}

std::string Writer::lost() const
{
    std::map<std::int64_t, std::string> found;
    for (const char* node : {"n1", "n2"}) {
        const auto rows = connect_(node).query(
            "SELECT user_id, name FROM public.users JOIN keyshift.local_bucket b ON b.group_name = 'users' AND b.state = 'open' "
            "AND b.bucket = keyshift.bucket_of('public.users', user_id::text)");
        for (int row = 0; row < rows.rows(); ++row) {
            found[rows.integer(row, 0)] += rows.text(row, 1); // twice would be both names in one
        }
    }
    for (const auto& [user, text] : acknowledged_) {
        if (found[user] != text) {
            return "user " + std::to_string(user) + " is '" + found[user] + "', acknowledged was '" + text + "'";
        }
    }
    return "";
}

} // namespace keyshift::test

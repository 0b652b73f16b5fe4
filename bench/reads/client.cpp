#include "bench/reads/client.hpp"

#include "core/json.hpp"

#include <array>
#include <exception>
#include <optional>
#include <semaphore>
#include <thread>

namespace keyshift::bench {

/// Its connection belongs to the client's thread, but between `asked` and `answered`.
struct Client::Worker {
    explicit Worker(pg::Connection node) : connection(std::move(node)) {}

    pg::Result run(const Question& wanted)
    {
        return connection.run_prepared(wanted.name, wanted.sql, std::array{pg::Parameter(wanted.parameter)});
    }
    void serve(const std::stop_token& stop)
    {
        for (asked.acquire(); !stop.stop_requested(); asked.acquire()) {
            try {
                answer = run(*question);
            } catch (...) {
                failure = std::current_exception();
            }
            answered.release();
        }
    }

    pg::Connection connection;
    const Question* question = nullptr;
    std::optional<pg::Result> answer;
    std::exception_ptr failure;
    std::binary_semaphore asked{0};
    std::binary_semaphore answered{0};
    std::jthread thread;
};

Client::Client(const demo::Settings& settings, std::size_t nodes, Fan fan) : fan_(fan)
{
    for (std::size_t node = 0; node < nodes; ++node) {
        workers_.push_back(
            std::make_unique<Worker>(pg::Connection(settings.connection(settings.servers[node].name, "bench reads"))));
        if (fan == Fan::parallel) {
            Worker& worker = *workers_.back();
            worker.thread = std::jthread([&worker](std::stop_token stop) { worker.serve(stop); });
        }
    }
}

Client::~Client()
{
    for (const auto& worker : workers_) {
        worker->thread.request_stop();
        worker->asked.release();
    }
}

std::vector<pg::Result> Client::ask(const std::vector<std::pair<std::size_t, Question>>& questions)
{
    std::vector<pg::Result> answers;
    const bool at_once = fan_ == Fan::parallel && questions.size() > 1;
    effort_.round_trips += at_once ? 1 : static_cast<int>(questions.size());
    for (const auto& [node, question] : questions) {
        effort_.nodes.insert(node);
        if (at_once) {
            workers_[node]->question = &question;
            workers_[node]->asked.release();
        } else {
            answers.push_back(workers_[node]->run(question));
        }
    }
    for (const auto& [node, question] : questions) {
        if (at_once) {
            Worker& worker = *workers_[node];
            worker.answered.acquire();
            if (worker.failure) {
                std::rethrow_exception(worker.failure);
            }
            answers.push_back(std::move(*worker.answer));
        }
        if (counting_) {
            note_buffers(node, question);
        }
    }
    return answers;
}

std::vector<pg::Result> Client::ask_all(const Question& question)
{
    std::vector<std::pair<std::size_t, Question>> questions;
    for (std::size_t node = 0; node < nodes(); ++node) {
        questions.emplace_back(node, question);
    }
    return ask(questions);
}

void Client::note_buffers(std::size_t node, const Question& question)
{
    const pg::Result plan = workers_[node]->connection.query("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + question.sql,
                                                             {pg::Parameter(question.parameter)});
    const nlohmann::json top = nlohmann::json::parse(plan.text(0, 0))[0]["Plan"];
    effort_.buffers += top["Shared Hit Blocks"].get<double>() + top["Shared Read Blocks"].get<double>();
}

} // namespace keyshift::bench

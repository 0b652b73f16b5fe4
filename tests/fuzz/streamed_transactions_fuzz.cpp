/// Open transactions sent in pieces, with savepoints rolled back, in memory and in files: what comes out at a commit is what
/// an unstreamed transaction would have been, and nothing else ever comes out.

#include "cdc/source/streamed_transactions.hpp"
#include "tests/cdc/source/message_bytes.hpp"
#include "tests/fuzz/input.hpp"

#include <array>
#include <vector>

namespace {

using namespace keyshift;

/// What PostgreSQL knows of one open transaction.
struct Transaction {
    struct Savepoint {
        std::uint32_t xid = 0;
        std::size_t rows = 0; ///< before it
    };
    std::vector<std::string> rows;
    std::vector<Savepoint> savepoints; ///< the open ones, innermost last
    bool begun = false;
};

class Server {
public:
    Server(fuzz::Input& input, std::size_t memory_limit)
        : input_(input), streamed_(memory_limit, "/tmp",
                                   {[this](const pg::WalMessage& message) { came_out_.emplace_back(message.payload); },
                                    [this](Lsn) { came_out_.emplace_back("nothing"); },
                                    [] {
                                    }})
    {
    }

    void run()
    {
        while (!input_.empty()) {
            const std::uint32_t top = 1 + static_cast<std::uint32_t>(input_.below(open_.size()));
            Transaction& transaction = open_.at(top - 1);
            switch (input_.below(5)) {
            case 0:
                rollback(top, transaction);
                break;
            case 1:
                transaction.savepoints.push_back({++last_xid_, transaction.rows.size()});
                break;
            case 2:
                finish(top, transaction);
                break;
            default:
                piece(top, transaction);
            }
            fuzz::promise(came_out_.empty(), "an open transaction says nothing", "");
        }
    }

private:
    void send(const std::string& message)
    {
        const Lsn lsn{++lsn_};
        streamed_.handle({lsn, lsn, message});
    }

    void piece(std::uint32_t top, Transaction& transaction)
    {
        send(test::MessageBytes('S').u32(top).u8(transaction.begun ? 0 : 1));
        transaction.begun = true;
        for (std::size_t rows = input_.below(4); rows > 0; --rows) {
            const std::string row(input_.text());
            const std::uint32_t xid = transaction.savepoints.empty() ? top : transaction.savepoints.back().xid;
            send(test::MessageBytes('I').u32(xid).raw(row));
            transaction.rows.push_back("I" + row);
        }
        send(test::MessageBytes('E'));
    }

    /// To the innermost savepoint, or of the whole transaction.
    void rollback(std::uint32_t top, Transaction& transaction)
    {
        if (!transaction.begun) {
            return;
        }
        if (transaction.savepoints.empty()) {
            send(test::MessageBytes('A').u32(top).u32(top));
            transaction = {};
            return;
        }
        const Transaction::Savepoint last = transaction.savepoints.back();
        transaction.savepoints.pop_back();
        send(test::MessageBytes('A').u32(top).u32(last.xid));
        transaction.rows.resize(last.rows);
    }

    void finish(std::uint32_t top, Transaction& transaction)
    {
        if (!transaction.begun) {
            return;
        }
        const std::string end = test::MessageBytes('C').u8(0).u64(500).u64(600).u64(700).bytes().substr(1);
        send(test::MessageBytes('c').u32(top).raw(end));
        std::vector<std::string> wanted{"nothing"};
        if (!transaction.rows.empty()) {
            wanted = {test::MessageBytes('B').u64(500).u64(700).u32(top)};
            wanted.insert(wanted.end(), transaction.rows.begin(), transaction.rows.end());
            wanted.push_back("C" + end);
        }
        fuzz::promise(came_out_ == wanted, "a streamed transaction is as an unstreamed one",
                      std::to_string(came_out_.size()) + " messages instead of " + std::to_string(wanted.size()));
        came_out_.clear();
        transaction = {};
    }

    fuzz::Input& input_;
    std::array<Transaction, 3> open_;
    std::uint32_t last_xid_ = 100;
    std::uint64_t lsn_ = 0;
    std::vector<std::string> came_out_;
    cdc::StreamedTransactions streamed_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    // Mostly memory: files are slow to make.
    const std::size_t limit = input.below(8) == 0 ? 32 : std::size_t{1} << 20U;
    Server(input, limit).run();
    return 0;
}

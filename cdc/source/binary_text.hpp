#pragma once
/// Values that came in their types' binary formats, as the texts that PostgreSQL would have sent: what is behind sees no
/// difference between a row that text can carry and one that it cannot. The common types are written here, all others by the
/// server, which reads and writes whatever it has. One thread.

#include "cdc/source/change.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace keyshift::cdc {

class BinaryText {
public:
    /// `connection`: to the database that the changes come from; used during translate() only.
    explicit BinaryText(pg::Connection& connection) : connection_(connection) {}

    /// Makes a text of each binary value. The texts live until the next call. Throws FatalError for a value that has no text
    /// of less than 1 GB, TransientError when the server is away.
    void translate(Change& change);

private:
    struct Type {
        /// As pg_type has it below any domain.
        std::uint32_t oid = 0;
        bool same = false; ///< its text and its binary format are the same bytes
    };
    void translate(const Relation& relation, Tuple& tuple);
    const Type& type(std::uint32_t oid);
    Type look_up(std::uint32_t oid);
    void ask(const Relation& relation, Tuple& tuple, const std::vector<std::size_t>& columns);

    pg::Connection& connection_;
    std::unordered_map<std::uint32_t, Type> types_; ///< by the OID of the relation's column
    std::deque<std::string> texts_;
};

} // namespace keyshift::cdc

#pragma once
/// Resolves type OIDs on one node down to what an encoder needs. Built-in types are remembered; a user's own are read each
/// time, since ALTER TYPE changes them.

#include "core/pg/connection.hpp"
#include "core/schema.hpp"

#include <unordered_map>

namespace keyshift::cdc {

class TypeReader {
public:
    explicit TypeReader(pg::Connection& node) : node_(node) {}

    /// A type that is gone by now is of kind TypeSchema::kDropped.
    TypeSchema read(std::uint32_t oid, std::int32_t modifier);

private:
    TypeSchema query(std::uint32_t oid);
    std::vector<std::string> labels(std::uint32_t oid);

    pg::Connection& node_;
    std::unordered_map<std::uint32_t, TypeSchema> built_in_;
};

} // namespace keyshift::cdc

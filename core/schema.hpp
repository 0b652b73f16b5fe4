#pragma once
/// A captured table as its events describe it: filled by cdc/source from a relation message and the node's catalogs,
/// read by cdc/publish. Plain data, immutable once built.

#include "core/capture_options.hpp"
#include "core/names.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keyshift {

/// A PostgreSQL type, resolved as far as an encoder needs it.
struct TypeSchema {
    static constexpr char kDropped = '-'; ///< `kind` of a type that is gone by now

    std::uint32_t oid = 0;
    std::string name;           ///< pg_type.typname: "int4", "_text", "mood"
    char kind = 'b';            ///< pg_type.typtype: b base, e enum, d domain, c composite, r range, m multirange
    std::int32_t modifier = -1; ///< atttypmod, or the domain's own where the column has none
    std::shared_ptr<const TypeSchema> element; ///< of an array
    std::shared_ptr<const TypeSchema> base;    ///< of a domain, resolved to the bottom
    std::vector<std::string> enum_labels;
};

struct ColumnSchema {
    std::string name;
    TypeSchema type;
    bool not_null = false;
    std::optional<std::string> default_literal; ///< text of a constant default; functions: nullopt
    bool has_default = false;                   ///< constant or computed; not: identity
    bool default_call = false;                  ///< the default calls a function
    bool identity = false;                      ///< in the replica identity
};

struct TableSchema {
    QualifiedName root;                ///< the logical table: names topic and source.table
    std::vector<ColumnSchema> columns; ///< in relation message order
    std::vector<std::size_t> key;      ///< of the primary key or a unique index, in its order; empty: no key
    /// Order of the columns in events, where it is not that of `columns`: a partition may have another than its table.
    std::vector<std::size_t> order;
    char identity = 'd';       ///< d default, n nothing, f full, i index
    CaptureOptions capture;    ///< what events show of it
    std::uint64_t version = 0; ///< differs for every new object: what a cache is keyed by
};

} // namespace keyshift

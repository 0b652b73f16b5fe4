#pragma once
/// A table as its events show it: its schema with the options of `table capture`. One thread.

#include "core/capture_options.hpp"
#include "core/schema.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>

namespace keyshift::cdc {

class CapturedForms {
public:
    /// `versions`: the numbers of schema objects of the node's stream.
    explicit CapturedForms(std::atomic<std::uint64_t>& versions) : versions_(versions) {}

    /// The same object for the same table and options. Throws FatalError when a column whose values are to be kept from
    /// events is not there and another is that was not there when the options were set: it may be the same.
    std::shared_ptr<const TableSchema> of(const std::shared_ptr<const TableSchema>& table,
                                          const CaptureOptions& options);

private:
    struct Form {
        std::uint64_t version = 0; ///< of the table without options
        std::shared_ptr<const TableSchema> table;
    };
    std::atomic<std::uint64_t>& versions_;
    std::map<QualifiedName, Form> latest_;
};

} // namespace keyshift::cdc

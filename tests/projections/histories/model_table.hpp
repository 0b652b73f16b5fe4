#pragma once
/// The table of a projection on one node, with totals by key and progress: what the statements of a batch do to them.

#include "projections/definition.hpp"
#include "tests/projections/histories/rules.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace keyshift::test {

/// SELECT user_id, id, amount FROM t WHERE user_id IS NOT NULL AND amount <> `hidden`, by user_id; rows without a key are left out.
struct ModelDefinition {
    explicit ModelDefinition(int hidden);

    bool shows(const projections::BaseRow& row) const;

    projections::Definition definition;
    std::string hidden;
};
enum BaseIndex : std::uint8_t { kId, kUser, kAmount };

using ModelKey = std::pair<int, int>; ///< user, id
struct Stored {
    std::optional<std::string> amount; ///< of a live row
    SourcePosition version;
    bool live = false;

    bool operator==(const Stored&) const = default;
};
struct Totals {
    std::int64_t rows = 0;
    std::int64_t sum = 0;

    bool operator==(const Totals&) const = default;
};

ModelKey key_of(const projections::BaseRow& row);

class ModelTable {
public:
    /// `between`: what another session commits after this statement's snapshot and before its first row is written.
    void upsert(const ModelDefinition& writer, const projections::ChangeList& changes, const Rules& rules,
                const std::function<void()>& between = {});
    /// What the rows give; equal to totals() at every commit.
    std::map<int, Totals> totals_by_rows() const;

    std::map<ModelKey, Stored>& rows() { return rows_; }
    const std::map<ModelKey, Stored>& rows() const { return rows_; }
    std::map<int, Totals>& totals() { return totals_; }
    const std::map<int, Totals>& totals() const { return totals_; }
    /// Rows that were written again at the version they had.
    std::int64_t rewritten() const { return rewritten_; }

private:
    void count(int user, const Stored& row, int sign);

    std::map<ModelKey, Stored> rows_;
    std::map<int, Totals> totals_;
    std::int64_t rewritten_ = 0;
};

} // namespace keyshift::test

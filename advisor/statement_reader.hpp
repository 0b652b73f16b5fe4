#pragma once
/// Walks the parser's tree of one statement and notes its tables, and what must be equal to what. Pure.

#include "advisor/name_scope.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <utility>
#include <vector>

namespace keyshift::advisor {

/// A statement that cannot be read, and why.
struct Unreadable {
    std::string why;
};

class StatementReader {
public:
    explicit StatementReader(const Tables& tables) : tables_(tables) {}
    /// Throws Unreadable.
    Statement read(const nlohmann::json& statement);
    /// A table of PostgreSQL's own or of Keyshift is in it.
    bool saw_system_table() const { return saw_system_table_; }

private:
    using Range = std::pair<std::size_t, std::size_t>; ///< numbers of uses, [first, last)

    void read_any(const nlohmann::json& statement, const NameScope* outer);
    void read_select(const nlohmann::json& select, const NameScope* outer);
    void read_insert(const nlohmann::json& insert, const NameScope* outer);
    void read_change(const nlohmann::json& change, Statement::Kind kind, const NameScope* outer);
    void read_with(const nlohmann::json& statement, NameScope& scope);
    void read_values(std::size_t use, const std::vector<std::string>& columns, const nlohmann::json& lists,
                     const NameScope& scope);
    Range read_from(const nlohmann::json& item, NameScope& scope);
    Range read_join(const nlohmann::json& join, NameScope& scope);
    std::size_t add_use(const nlohmann::json& range, NameScope& scope, bool written);
    /// `bound`: the uses of which rows that do not satisfy the condition make no difference.
    void read_condition(const nlohmann::json& condition, Range bound, const NameScope& scope);
    void read_comparison(const nlohmann::json& left, const nlohmann::json& right, Range bound, const NameScope& scope);
    void read_list(const nlohmann::json& left, const nlohmann::json& right, Range bound, const NameScope& scope);
    void add_equality(UseColumn left, UseColumn right, Range bound);
    /// Notes the columns of an expression and reads the SELECTs within it.
    void walk(const nlohmann::json& node, const NameScope& scope);
    std::optional<UseColumn> column_of(const nlohmann::json& node, const NameScope& scope) const;

    const Tables& tables_;
    Statement statement_;
    bool saw_system_table_ = false;
};

/// The text of what has the same value wherever it stands in the statement: a parameter, a constant, an expression of such.
/// nullopt: it depends on a row.
std::optional<std::string> value_of(const nlohmann::json& node);

/// The parts that definitions of projections are made of; empty where they cannot be.
std::vector<SelectShape> read_shapes(const nlohmann::json& select, const Statement& statement, const Tables& tables);

} // namespace keyshift::advisor

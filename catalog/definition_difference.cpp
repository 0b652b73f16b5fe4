#include "catalog/definition_difference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace keyshift::catalog {

namespace {

class Comparison {
public:
    Comparison(const DefinitionOnNode& first, const DefinitionOnNode& second)
        : first_(first), second_(second), same_words_(first.major == second.major),
          alter_("ALTER TABLE " + first.table.name.quoted() + " ")
    {
    }

    std::vector<Finding> run()
    {
        compare_columns();
        compare_constraints();
        compare_indexes();
        if (same_words_) {
            compare_statements(first_.table.triggers, second_.table.triggers, "trigger");
            compare_statements(first_.table.alterations, second_.table.alterations, "setting or policy");
        }
        return std::move(findings_);
    }

private:
    void note(const std::string& node, std::string why, std::string fix)
    {
        findings_.push_back({"definition_differs", first_.table.name.to_string() + " on " + node, "error",
                             std::move(why), std::move(fix)});
    }

    void lacks(const DefinitionOnNode& having, const DefinitionOnNode& lacking, const std::string& what,
               const std::string& fix)
    {
        note(lacking.node, fmt::format("{} has {}, {} does not", having.node, what, lacking.node), fix);
    }

    static std::string column_sql(const ColumnDefinition& column)
    {
        std::string sql = quote_identifier(column.name) + " " + column.type;
        if (column.generated != '\0') {
            sql += fmt::format(" GENERATED ALWAYS AS ({}) {}", column.default_expression,
                               column.generated == 'v' ? "VIRTUAL" : "STORED");
        } else if (!column.default_expression.empty()) {
            sql += " DEFAULT " + column.default_expression;
        }
        return column.not_null ? sql + " NOT NULL" : sql;
    }

    void compare_columns()
    {
        for (const ColumnDefinition& column : first_.table.columns) {
            if (const ColumnDefinition* other = second_.table.column(column.name)) {
                compare_column(column, *other);
            } else {
                lacks(first_, second_, "column " + column.name, alter_ + "ADD COLUMN " + column_sql(column) + ";");
            }
        }
        for (const ColumnDefinition& column : second_.table.columns) {
            if (first_.table.column(column.name) == nullptr) {
                lacks(second_, first_, "column " + column.name, alter_ + "ADD COLUMN " + column_sql(column) + ";");
            }
        }
    }

    void compare_column(const ColumnDefinition& here, const ColumnDefinition& there)
    {
        const std::string column = alter_ + "ALTER COLUMN " + quote_identifier(here.name) + " ";
        const auto differs = [&](const char* what, const std::string& fix) {
            note(second_.node, fmt::format("column {} has another {} than on {}", here.name, what, first_.node), fix);
        };
        if (here.type != there.type || here.collation != there.collation) {
            differs("type",
                    column + "TYPE " + here.type + (here.collation.empty() ? "" : " COLLATE " + here.collation) + ";");
        }
        if (here.not_null != there.not_null) {
            differs("NOT NULL", column + (here.not_null ? "SET NOT NULL;" : "DROP NOT NULL;"));
        }
        if (here.generated != there.generated || here.identity != there.identity) {
            differs("way of being generated", "");
        } else if (same_words_ && here.default_expression != there.default_expression) {
            differs(here.generated != '\0' ? "expression" : "default",
                    here.generated != '\0'            ? ""
                    : here.default_expression.empty() ? column + "DROP DEFAULT;"
                                                      : column + "SET DEFAULT " + here.default_expression + ";");
        }
    }

    /// By name; `definition` as the server words it, `fix` makes it.
    template <typename Object>
    void compare_named(const std::vector<Object>& first, const std::vector<Object>& second, const char* what,
                       const std::function<std::string(const Object&)>& fix)
    {
        const auto find = [](const std::vector<Object>& in, const std::string& name) {
            return std::find_if(in.begin(), in.end(), [&](const Object& object) { return object.name == name; });
        };
        for (const Object& object : first) {
            const auto other = find(second, object.name);
            if (other == second.end()) {
                lacks(first_, second_, fmt::format("{} {}", what, object.name), fix(object));
            } else if (same_words_ && other->definition != object.definition) {
                note(second_.node,
                     fmt::format("{} {} is another one than on {}: {}", what, object.name, first_.node,
                                 object.definition),
                     "");
            }
        }
        for (const Object& object : second) {
            if (find(first, object.name) == first.end()) {
                lacks(second_, first_, fmt::format("{} {}", what, object.name), fix(object));
            }
        }
    }

    void compare_constraints()
    {
        compare_named<ConstraintDefinition>(first_.table.constraints, second_.table.constraints, "constraint",
                                            [&](const ConstraintDefinition& constraint) {
                                                return fmt::format("{}ADD CONSTRAINT {} {};", alter_,
                                                                   quote_identifier(constraint.name),
                                                                   constraint.definition);
                                            });
    }

    void compare_indexes()
    {
        compare_named<IndexDefinition>(first_.table.indexes, second_.table.indexes, "index",
                                       [](const IndexDefinition& index) { return index.definition + ";"; });
    }

    void compare_statements(const std::vector<std::string>& first, const std::vector<std::string>& second,
                            const char* what)
    {
        const auto contains = [](const std::vector<std::string>& in, const std::string& one) {
            return std::find(in.begin(), in.end(), one) != in.end();
        };
        for (const std::string& statement : first) {
            if (!contains(second, statement)) {
                lacks(first_, second_, fmt::format("a {}", what), statement + ";");
            }
        }
        for (const std::string& statement : second) {
            if (!contains(first, statement)) {
                lacks(second_, first_, fmt::format("a {}", what), statement + ";");
            }
        }
    }

    const DefinitionOnNode& first_;
    const DefinitionOnNode& second_;
    bool same_words_;
    std::string alter_;
    std::vector<Finding> findings_;
};

} // namespace

std::vector<Finding> differences(const DefinitionOnNode& first, const DefinitionOnNode& second)
{
    return Comparison(first, second).run();
}

} // namespace keyshift::catalog

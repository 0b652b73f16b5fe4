#include "catalog/ddl_statement.hpp"

#include "catalog/sql_tree.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <algorithm>
#include <map>

namespace keyshift::catalog {

namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& why, const std::string& next)
{
    throw RefusedError({"keyshift ddl", why, next});
}

QualifiedName name_of(const Json& range)
{
    return {range.value("schemaname", "public"), range.at("relname").get<std::string>()};
}

std::vector<std::string> strings(const Json& list)
{
    std::vector<std::string> words;
    for (const Json& element : list) {
        if (element.contains("String")) {
            words.push_back(element.at("String").at("sval"));
        }
    }
    return words;
}

QualifiedName name_of_words(const std::vector<std::string>& words, std::size_t behind = 0)
{
    const std::size_t count = words.size() - behind;
    return {count > 1 ? words[count - 2] : "public", words.at(count - 1)};
}

std::string trimmed(const std::string& sql)
{
    const std::size_t end = sql.find_last_not_of(" \t\r\n;");
    return end == std::string::npos ? "" : sql.substr(0, end + 1);
}

class Reader {
public:
    explicit Reader(const std::string& sql) { read_.text = trimmed(sql); }

    DdlStatement read()
    {
        const Json tree = parse_statement(read_.text, "keyshift ddl");
        const std::string& kind = tree.begin().key();
        const Json& body = tree.begin().value();
        static const std::map<std::string, void (Reader::*)(const Json&)> kReaders{
            {"AlterTableStmt", &Reader::alter_table},
            {"IndexStmt", &Reader::create_index},
            {"TruncateStmt", &Reader::truncate},
            {"RenameStmt", &Reader::rename},
            {"DropStmt", &Reader::drop},
            {"CommentStmt", &Reader::comment},
            {"CreateTrigStmt", &Reader::trigger},
            {"CreatePolicyStmt", &Reader::policy},
            {"AlterPolicyStmt", &Reader::policy},
            {"CreateStatsStmt", &Reader::statistics},
        };
        const auto reader = kReaders.find(kind);
        if (reader == kReaders.end()) {
            refuse("it is no statement about the definition of a table that `keyshift ddl` runs",
                   "It runs ALTER TABLE, CREATE and DROP INDEX, TRUNCATE, COMMENT, and what makes and drops triggers, "
                   "policies and statistics. Run others on every node yourself; `keyshift doctor` compares them.");
        }
        (this->*reader->second)(body);
        return std::move(read_);
    }

private:
    void trigger(const Json& body)
    {
        read_.tables = {name_of(body.at("relation"))};
        read_.makes_trigger = true;
    }
    void policy(const Json& body)
    {
        read_.tables = {name_of(body.at("table"))};
        read_.row_security = true;
    }

    void statistics(const Json& body)
    {
        if (body.value("defnames", Json::array()).empty()) {
            refuse("the statistics have no name, and each node would give them its own", "Name them.");
        }
        read_.tables = {name_of(body.at("relations").at(0).at("RangeVar"))};
    }

    void comment(const Json& body)
    {
        const std::string type = body.at("objtype");
        const auto words =
            strings(body.at("object").contains("List") ? body.at("object").at("List").at("items") : Json::array());
        if (words.empty()) {
            refuse("it does not say of which table it speaks", "Run it on every node yourself.");
        }
        if (type == "OBJECT_TABLE") {
            read_.tables = {name_of_words(words)};
        } else if (type == "OBJECT_INDEX") {
            read_.indexes = {name_of_words(words)};
        } else if (words.size() > 1) {
            read_.tables = {name_of_words(words, 1)};
        } else {
            refuse("it does not say of which table it speaks", "Write table.column.");
        }
    }

    void truncate(const Json& body)
    {
        read_.kind = DdlStatement::Kind::truncate;
        for (const Json& relation : body.at("relations")) {
            if (!relation.at("RangeVar").value("inh", false)) {
                refuse("ONLY leaves the partitions out, and they hold the rows", "Leave ONLY out.");
            }
            read_.tables.push_back(name_of(relation.at("RangeVar")));
        }
        if (body.value("behavior", "") == "DROP_CASCADE") {
            refuse("CASCADE would truncate tables that it does not name", "Name each table, without CASCADE.");
        }
    }

    void rename(const Json& body)
    {
        const std::string type = body.at("renameType");
        if (type == "OBJECT_TABLE") {
            refuse("the catalog, the topics and the leaves carry the table's name",
                   "Keep the name; a view can show the table under another one.");
        }
        if (!body.contains("relation")) {
            refuse("it is no part of a table's definition", "Run it on every node yourself.");
        }
        const QualifiedName name = name_of(body.at("relation"));
        if (type == "OBJECT_INDEX") {
            read_.indexes = {name};
            return;
        }
        read_.tables = {name};
        if (type == "OBJECT_COLUMN") {
            read_.renamed_columns = {body.at("subname").get<std::string>()};
        }
    }

    void drop(const Json& body)
    {
        const std::string type = body.at("removeType");
        if (type == "OBJECT_TABLE") {
            refuse("dropping a distributed table would leave its buckets, topic and projections behind",
                   "Take it out first: `keyshift table undistribute TABLE`.");
        }
        for (const Json& object : body.at("objects")) {
            const auto words = strings(object.contains("List") ? object.at("List").at("items") : Json::array());
            if (words.empty()) {
                refuse("it does not say of which table it speaks", "Run it on every node yourself.");
            }
            if (type == "OBJECT_INDEX") {
                read_.indexes.push_back(name_of_words(words));
            } else if (type == "OBJECT_TRIGGER" || type == "OBJECT_POLICY") {
                read_.tables.push_back(name_of_words(words, 1));
                read_.row_security = read_.row_security || type == "OBJECT_POLICY";
            } else {
                refuse("it is no part of a table's definition", "Run it on every node yourself.");
            }
        }
        if (body.value("concurrent", false)) {
            refuse("DROP INDEX CONCURRENTLY does not exist for partitioned tables",
                   "Leave CONCURRENTLY out: the lock is short.");
        }
    }

    void create_index(const Json& body)
    {
        read_.kind = DdlStatement::Kind::create_index;
        const Json& relation = body.at("relation");
        read_.tables = {name_of(relation)};
        read_.index = body.value("idxname", "");
        if (read_.index.empty()) {
            refuse("the index has no name, and each node would give it its own", "Name it.");
        }
        if (!relation.value("inh", false)) {
            refuse("ONLY would leave the index without parts", "Leave ONLY out.");
        }
        read_.index_tail = read_.text.substr(relation.at("location").get<std::size_t>());
        read_.unique = body.value("unique", false);
        if (read_.unique) {
            DdlStatement::Key key{"UNIQUE", {}};
            for (const Json& element : body.at("indexParams")) {
                key.columns.push_back(element.at("IndexElem").value("name", ""));
            }
            read_.new_keys.push_back(std::move(key));
        }
    }

    void alter_table(const Json& body)
    {
        if (body.at("objtype") != "OBJECT_TABLE") {
            refuse("it changes something else than a table", "Run it on every node yourself.");
        }
        if (!body.at("relation").value("inh", false)) {
            refuse("ONLY would leave the leaves as they are", "Leave ONLY out.");
        }
        read_.tables = {name_of(body.at("relation"))};
        for (const Json& command : body.at("cmds")) {
            alter(command.at("AlterTableCmd"));
        }
    }

    void alter(const Json& command)
    {
        static const std::map<std::string, std::pair<const char*, const char*>> kRefused{
            {"AT_AttachPartition", {"the leaves are Keyshift's own", "Buckets are moved by `keyshift reshard`."}},
            {"AT_DetachPartition", {"the leaves are Keyshift's own", "Buckets are moved by `keyshift reshard`."}},
            {"AT_DetachPartitionFinalize",
             {"the leaves are Keyshift's own", "Buckets are moved by `keyshift reshard`."}},
            {"AT_ReplicaIdentity",
             {"each leaf has a replica identity of its own, and consumers see it",
              "`keyshift table capture TABLE --key COLUMNS` sets what events are keyed by."}},
            {"AT_SetLogged", {"a partitioned table has no such state", "Leave it out."}},
            {"AT_SetUnLogged", {"changes of an unlogged table are not in the WAL", "Leave it out."}},
            {"AT_AddInherit", {"a distributed table takes part in no other inheritance", "Leave it out."}},
            {"AT_DropInherit", {"a distributed table takes part in no other inheritance", "Leave it out."}},
            {"AT_ChangeOwner",
             {"the leaves would keep their owner, and moves need them to be alike",
              "Run it on every node for the table and each of its leaves, while no move runs."}},
        };
        const std::string subtype = command.at("subtype");
        read_.row_security = read_.row_security || subtype.ends_with("RowSecurity");
        if (const auto refused = kRefused.find(subtype); refused != kRefused.end()) {
            refuse(refused->second.first, refused->second.second);
        }
        refuse_sequences(command);
        const std::string name = command.value("name", "");
        if (subtype == "AT_DropColumn") {
            read_.dropped_columns.push_back(name);
        } else if (subtype == "AT_AlterColumnType") {
            read_.retyped_columns.push_back(name);
        } else if (subtype == "AT_DropConstraint") {
            read_.dropped_constraints.push_back(name);
        } else if (subtype == "AT_AddConstraint") {
            constraint(command.at("def").at("Constraint"), "");
        } else if (subtype == "AT_AddColumn") {
            const Json& column = command.at("def").at("ColumnDef");
            for (const Json& of_column : column.value("constraints", Json::array())) {
                constraint(of_column.at("Constraint"), column.at("colname"));
            }
        }
    }

    /// serial, identity, nextval: without ranges of their own the nodes would hand out the same numbers.
    static void refuse_sequences(const Json& command)
    {
        static const std::vector<std::string> kSerial{"smallserial", "serial2",   "serial",
                                                      "serial4",     "bigserial", "serial8"};
        const Json column = command.value("def", Json::object()).value("ColumnDef", Json::object());
        const auto type = strings(column.value("typeName", Json::object()).value("names", Json::array()));
        const bool serial = !type.empty() && std::find(kSerial.begin(), kSerial.end(), type.back()) != kSerial.end();
        const std::string text = command.dump();
        if (serial || command.at("subtype") == "AT_AddIdentity" ||
            text.find("\"CONSTR_IDENTITY\"") != std::string::npos ||
            text.find("\"sval\":\"nextval\"") != std::string::npos) {
            refuse("each node would number rows from a sequence of its own, and the same numbers would be given twice",
                   "Sequences that a table had when it was distributed have ranges; give new columns a uuid, or values "
                   "of the application's.");
        }
    }

    void constraint(const Json& constraint, const std::string& column)
    {
        const std::string type = constraint.at("contype");
        if (type == "CONSTR_PRIMARY" || type == "CONSTR_UNIQUE") {
            if (constraint.contains("indexname")) {
                refuse("a partitioned table takes no constraint USING INDEX", "Name the columns.");
            }
            read_.new_keys.push_back({type == "CONSTR_PRIMARY" ? "PRIMARY KEY" : "UNIQUE",
                                      column.empty() ? strings(constraint.at("keys")) : std::vector{column}});
            read_.adds_primary_key = read_.adds_primary_key || type == "CONSTR_PRIMARY";
        } else if (type == "CONSTR_EXCLUSION") {
            DdlStatement::Key key{"EXCLUDE", {}};
            for (const Json& pair : constraint.at("exclusions")) {
                key.columns.push_back(pair.at("List").at("items").at(0).at("IndexElem").value("name", ""));
            }
            read_.new_keys.push_back(std::move(key));
        } else if (type == "CONSTR_FOREIGN") {
            read_.new_foreign_keys.push_back({column.empty() ? strings(constraint.at("fk_attrs")) : std::vector{column},
                                              name_of(constraint.at("pktable")),
                                              strings(constraint.value("pk_attrs", Json::array()))});
        }
    }

    DdlStatement read_;
};

} // namespace

DdlStatement read_ddl(const std::string& sql)
{
    return Reader(sql).read();
}

} // namespace keyshift::catalog

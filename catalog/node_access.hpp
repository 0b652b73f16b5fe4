#pragma once
/// Connections of the commands to nodes, and what a command asks of a node before it changes anything.

#include "catalog/catalog.hpp"

#include <memory>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// A node with its open connection.
struct OpenNode {
    Node node;
    std::unique_ptr<pg::Connection> connection;
};
/// Connects to all nodes; the first that does not answer ends the command with its name.
std::vector<OpenNode> open_nodes(pg::Connection& catalog, const std::string& purpose);

/// Server and database of a connection, equal only for the same database of the same cluster of data files.
std::string database_identity(pg::Connection& connection);

bool table_exists(pg::Connection& node, const QualifiedName& table);
/// True for the root of a distributed table, also one that a command which died left behind.
bool is_registered_root(pg::Connection& node, const QualifiedName& table);
bool has_rows(pg::Connection& node, const QualifiedName& table);

/// One command at a time changes nodes and tables: the others are refused. Ends with the connection, or before.
class CommandLock {
public:
    CommandLock(pg::Connection& catalog, const std::string& what);
    ~CommandLock();
    CommandLock(const CommandLock&) = delete;
    CommandLock& operator=(const CommandLock&) = delete;

private:
    pg::Connection& catalog_;
};

/// ALTER PUBLICATION ADD TABLE unless it is in.
void add_to_publication(pg::Connection& node, const std::string& publication, const QualifiedName& table);

} // namespace keyshift::catalog

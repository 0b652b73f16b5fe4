#pragma once
/// The text of catalog/sql/*.sql, compiled in.

namespace keyshift::catalog {

extern const char* const kCatalogSql;
extern const char* const kNodeSql;
extern const char* const kFunctionsSql;
extern const char* const kStrictSql;

} // namespace keyshift::catalog

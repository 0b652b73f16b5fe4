#pragma once
/// What commands print: data on stdout (table, json or ndjson), progress and the next step on stderr.

#include "core/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace keyshift::daemon {

enum class OutputFormat { table, json, ndjson };

/// An array of objects as a table with a heading, an object as "key  value" lines; json and ndjson as they are.
/// `columns`: those a table shows, in order; empty: all.
void print(const nlohmann::json& data, OutputFormat format, const std::vector<std::string>& columns = {});
/// "2 min": for tables.
std::string duration_words(double seconds);
/// One line on stderr.
void note(std::string_view line);
/// "error: WHAT", "  why:  WHY", "  next: NEXT" on stderr.
void print_error(const ErrorParts& parts);
/// Redraws one line on a terminal; elsewhere a line every few seconds. `part` from 0 to 1.
class Progress {
public:
    void show(double part, std::string_view text);
    void finish();

private:
    bool drawn_ = false;
    double last_shown_ = -1e9; ///< seconds of the steady clock
};

} // namespace keyshift::daemon

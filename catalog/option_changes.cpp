#include "catalog/option_changes.hpp"

#include "catalog/option_json.hpp"
#include "core/error.hpp"
#include "core/names.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <set>

namespace keyshift::catalog {

namespace {

constexpr std::int64_t kLongestText = 1'000'000'000; ///< a text of PostgreSQL is below 1 GB

Error usage(const std::string& what, std::string why, std::string next)
{
    return Error(ErrorKind::usage, {what, std::move(why), std::move(next)});
}

/// An assignment each, but for the one empty text that takes all away.
std::map<std::string, std::string> assignments(const std::string& what, const std::string& flag,
                                               const std::vector<std::string>& texts)
{
    std::map<std::string, std::string> found;
    for (const std::string& text : texts) {
        if (text.empty()) {
            continue;
        }
        auto one = parse_assignment(text);
        if (!one) {
            throw usage(what, fmt::format("{} wants COLUMN=..., and one of its texts has no =", flag),
                        fmt::format("Say for example {} {}.", flag, flag == "--mask" ? "email=***" : "note=100"));
        }
        if (!found.insert(std::move(*one)).second) {
            throw usage(what, fmt::format("{} names column {} twice", flag, parse_assignment(text)->first),
                        "Name each column once.");
        }
    }
    return found;
}

std::map<std::string, std::int64_t> lengths(const std::string& what, const std::vector<std::string>& texts)
{
    std::map<std::string, std::int64_t> found;
    for (const auto& [column, text] : assignments(what, "--truncate", texts)) {
        std::int64_t length = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
        if (error != std::errc{} || end != text.data() + text.size() || length < 1 || length > kLongestText) {
            throw usage(what, fmt::format("--truncate {}={}: no number of characters from 1 on", column, text),
                        "To show nothing of a column use --exclude-columns or --mask.");
        }
        found.emplace(column, length);
    }
    return found;
}

OnError policy(const std::string& what, const std::string& text)
{
    for (const OnError known : {OnError::stop, OnError::dead_letter}) {
        if (text == name_of(known)) {
            return known;
        }
    }
    if (text.empty()) {
        return OnError::stop;
    }
    throw usage(what, fmt::format("--on-error {}: there is no such policy", text), "Say stop or dead-letter.");
}

void refuse_contradictions(const std::string& what, const CaptureOptions& options)
{
    if (!options.include_columns.empty() && !options.exclude_columns.empty()) {
        throw RefusedError({what, "--include-columns and --exclude-columns contradict each other",
                            "Keep one of them; --exclude-columns '' takes the other away."});
    }
    std::set<std::string> named;
    for (const std::string& column : options.guarded()) {
        if (!named.insert(column).second) {
            throw RefusedError({what,
                                fmt::format("column {} is named by two of --exclude-columns, --mask, --hash and "
                                            "--truncate, or twice by one",
                                            column),
                                "Name it once."});
        }
    }
    for (const std::string& column : options.key) {
        if (!options.shows(column) || options.alters(column)) {
            throw RefusedError({what,
                                fmt::format("column {} is in the message key, which shows its values, and so cannot be "
                                            "left out, masked, hashed or cut",
                                            column),
                                "Choose other columns with --key."});
        }
    }
    for (const std::string& column : options.guarded()) {
        if (options.alters(column) && !options.shows(column)) {
            throw RefusedError({what, fmt::format("column {} is in no event: it needs no mask, hash or cut", column),
                                "Name it in --include-columns, or take the other option away."});
        }
    }
}

} // namespace

bool OptionChanges::any() const
{
    return defaults || include_columns || exclude_columns || hash || key || where || on_error || former_columns ||
           !mask.empty() || !truncate.empty();
}

std::vector<std::string> OptionChanges::former(const CaptureOptions& before) const
{
    std::vector<std::string> names = before.named();
    const std::vector<std::string> more = parse_names(former_columns.value_or(""));
    names.insert(names.end(), more.begin(), more.end());
    return names;
}

CaptureOptions changed(const std::string& what, const CaptureOptions& before, const OptionChanges& changes)
{
    CaptureOptions options = changes.defaults ? CaptureOptions{} : before;
    const auto set_names = [](std::vector<std::string>& names, const std::optional<std::string>& text) {
        if (text) {
            names = parse_names(*text);
        }
    };
    set_names(options.include_columns, changes.include_columns);
    set_names(options.exclude_columns, changes.exclude_columns);
    set_names(options.hash, changes.hash);
    set_names(options.key, changes.key);
    options.where = changes.where.value_or(options.where);
    if (changes.on_error) {
        options.on_error = policy(what, *changes.on_error);
    }
    if (!changes.mask.empty()) {
        options.mask = assignments(what, "--mask", changes.mask);
    }
    if (!changes.truncate.empty()) {
        options.truncate = lengths(what, changes.truncate);
    }
    refuse_contradictions(what, options);
    return options;
}

} // namespace keyshift::catalog

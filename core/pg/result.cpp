#include "core/pg/session.hpp"

#include <charconv>
#include <stdexcept>
#include <utility>

namespace keyshift::pg {

namespace {

template <typename Number>
Number parsed(std::string_view text)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
        throw std::logic_error("a query's column is not the number its caller expects");
    }
    return value;
}

} // namespace

Result::Result(pg_result* result) : result_(result) {}

Result::~Result()
{
    PQclear(result_);
}

Result::Result(Result&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}

Result& Result::operator=(Result&& other) noexcept
{
    std::swap(result_, other.result_);
    return *this;
}

int Result::rows() const
{
    return PQntuples(result_);
}

int Result::columns() const
{
    return PQnfields(result_);
}

bool Result::is_null(int row, int column) const
{
    return PQgetisnull(result_, row, column) != 0;
}

std::string_view Result::text(int row, int column) const
{
    return {PQgetvalue(result_, row, column), static_cast<std::size_t>(PQgetlength(result_, row, column))};
}

std::optional<std::string> Result::optional_text(int row, int column) const
{
    return is_null(row, column) ? std::nullopt : std::optional<std::string>(text(row, column));
}

std::int64_t Result::integer(int row, int column) const
{
    return parsed<std::int64_t>(text(row, column));
}

double Result::real(int row, int column) const
{
    return parsed<double>(text(row, column));
}

bool Result::boolean(int row, int column) const
{
    return text(row, column) == "t";
}

Lsn Result::lsn(int row, int column) const
{
    const auto lsn = Lsn::parse(text(row, column));
    if (!lsn) {
        throw std::logic_error("a query's column is not the LSN its caller expects");
    }
    return *lsn;
}

int Result::column(std::string_view name) const
{
    // PQfnumber folds unquoted names; quoting keeps odd ones.
    const int found = PQfnumber(result_, ('"' + std::string(name) + '"').c_str());
    if (found < 0) {
        throw std::logic_error("a query has no column " + std::string(name));
    }
    return found;
}

std::int64_t Result::affected() const
{
    const std::string_view text = PQcmdTuples(result_);
    return text.empty() ? 0 : parsed<std::int64_t>(text);
}

} // namespace keyshift::pg

#pragma once
/// PostgreSQL's ISO date and time texts as the numbers and strings of Debezium's modes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// Days since 1970-01-01; Debezium's sentinels for the infinities.
std::optional<std::int64_t> epoch_days(std::string_view text);
/// "13:51:30.123456" in microseconds; 24:00 is 86,400,000,000.
std::optional<std::int64_t> day_microseconds(std::string_view text);
/// "2016-11-04 13:51:30.123456[ BC]" in microseconds since the epoch, without regard to zones. Infinities: Debezium's sentinels.
/// Debezium's number also where 64 bits do not hold it (from the year 294247 on).
std::optional<std::int64_t> epoch_microseconds(std::string_view text);
/// The same in milliseconds, rounded down.
std::optional<std::int64_t> epoch_milliseconds(std::string_view text);
/// A timestamptz in UTC ("2016-11-04 11:51:30.123456+00") as "2016-11-04T11:51:30.123456Z", `digits` after the point.
std::optional<std::string> zoned_timestamp(std::string_view text, int digits);
/// A timetz ("13:51:30.123789+02") as "11:51:30.123789Z".
std::optional<std::string> zoned_time(std::string_view text);
/// "2016-11-04Z", "13:51:30.1Z", "2016-11-04T13:51:30.1Z": no digit more than needed, the infinities as Debezium's sentinels.
std::optional<std::string> iso_date(std::string_view text);
/// The same of days since the epoch, without the zone.
std::string iso_date_of(std::int64_t days);
std::optional<std::string> iso_time(std::string_view text);
std::optional<std::string> iso_timestamp(std::string_view text);
/// "1 year 2 mons 3 days 04:05:06.78" as "P1Y2M3DT4H5M6.78S", each part with its own sign.
std::optional<std::string> iso_interval(std::string_view text);
/// The same in microseconds; a month is 365.25/12 days. Ends where 64 bits end.
std::optional<std::int64_t> interval_microseconds(std::string_view text);

} // namespace keyshift::cdc

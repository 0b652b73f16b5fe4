#include "cdc/publish/temporal_text.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <fmt/core.h>

namespace keyshift::cdc {
namespace {

TEST(TemporalText, DatesAreDaysSinceTheEpoch)
{
    EXPECT_EQ(epoch_days("2016-11-04"), 17109);
    EXPECT_EQ(epoch_days("1970-01-01"), 0);
    EXPECT_EQ(epoch_days("1969-12-31"), -1);
    EXPECT_EQ(epoch_days("0001-01-01"), -719162);
    EXPECT_EQ(epoch_days("0001-12-31 BC"), -719163);
    EXPECT_EQ(epoch_days("4713-01-01 BC"), -2440550);
    EXPECT_EQ(epoch_days("5874897-12-31"), 2145042905);
    EXPECT_EQ(epoch_days("infinity"), -2147472692);
    EXPECT_EQ(epoch_days("-infinity"), -2147472691);
    EXPECT_EQ(epoch_days("today"), std::nullopt);
    EXPECT_EQ(epoch_days(""), std::nullopt);
}

RC_GTEST_PROP(TemporalTextProperty, DaysAgreeWithTheStandardCalendar, ())
{
    const int days = *rc::gen::inRange(-700'000, 10'000'000);
    const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
    const std::string text = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                                         static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    RC_ASSERT(epoch_days(text) == std::optional<std::int64_t>(days));
}

TEST(TemporalText, TimesAreMicrosecondsOfTheDay)
{
    EXPECT_EQ(day_microseconds("13:51:30"), 49'890'000'000);
    EXPECT_EQ(day_microseconds("13:51:30.123456"), 49'890'123'456);
    EXPECT_EQ(day_microseconds("00:00:00.1"), 100'000);
    EXPECT_EQ(day_microseconds("24:00:00"), 86'400'000'000);
    EXPECT_EQ(day_microseconds("13:51"), std::nullopt);
}

// What Debezium 3.2 prints (measured): seconds stop at the end of 64 bits, the fraction goes round.
TEST(TemporalText, TimestampsBeyond64BitsOfMicrosecondsAreDebeziumsNumbers)
{
    EXPECT_EQ(epoch_microseconds("294247-01-10 03:00:00"), 9'223'372'033'200'000'000);
    EXPECT_EQ(epoch_microseconds("294247-01-10 05:00:00"), 9'223'372'036'854'775'807);
    EXPECT_EQ(epoch_microseconds("294276-12-31 23:59:59.999999"), -9'223'372'036'853'775'810);
    EXPECT_EQ(epoch_microseconds("4714-11-24 00:00:00 BC"), -210'866'803'200'000'000);
    EXPECT_EQ(epoch_milliseconds("294276-12-31 23:59:59.999"), 9'224'318'015'999'999);
    EXPECT_EQ(epoch_milliseconds("4714-11-24 00:00:00 BC"), -210'866'803'200'000);
    EXPECT_EQ(epoch_milliseconds("1969-12-31 23:59:59.9999"), -1) << "rounded down";
    EXPECT_EQ(epoch_milliseconds("-infinity"), -9'223'372'036'832'400);
}

TEST(TemporalText, TimestampsAreMicrosecondsSinceTheEpoch)
{
    EXPECT_EQ(epoch_microseconds("2016-11-04 13:51:30.123456"), 1'478'267'490'123'456);
    EXPECT_EQ(epoch_microseconds("1936-10-25 22:10:12.608"), -1'047'174'587'392'000);
    EXPECT_EQ(epoch_microseconds("21016-11-04 13:51:30.123456"), 601'060'312'290'123'456);
    EXPECT_EQ(epoch_microseconds("294247-01-01 23:59:59.999999"), 9'223'371'331'199'999'999);
    EXPECT_EQ(epoch_microseconds("4713-12-31 23:59:59.999999 BC"), -210'831'897'600'000'001) << "proleptic Gregorian";
    EXPECT_EQ(epoch_microseconds("infinity"), 9'223'372'036'825'200'000);
    EXPECT_EQ(epoch_microseconds("-infinity"), -9'223'372'036'832'400'000);
    EXPECT_EQ(epoch_microseconds("2016-11-04"), std::nullopt);
    EXPECT_EQ(epoch_microseconds("99999999999999-01-01 00:00:00"), std::nullopt);
}

TEST(TemporalText, ZonedTimestampsAreIsoInUtcWithTheColumnsPrecision)
{
    EXPECT_EQ(zoned_timestamp("2016-11-04 11:51:30.123456+00", 6), "2016-11-04T11:51:30.123456Z");
    EXPECT_EQ(zoned_timestamp("2016-11-04 11:51:30.1+00", 6), "2016-11-04T11:51:30.100000Z");
    EXPECT_EQ(zoned_timestamp("2016-11-04 11:51:30+00", 6), "2016-11-04T11:51:30.000000Z");
    EXPECT_EQ(zoned_timestamp("2016-11-04 11:51:30.12+00", 3), "2016-11-04T11:51:30.120Z");
    EXPECT_EQ(zoned_timestamp("21016-11-04 06:51:30.123456+00", 6), "+21016-11-04T06:51:30.123456Z");
    EXPECT_EQ(zoned_timestamp("0044-03-15 00:00:00+00 BC", 6), "-0043-03-15T00:00:00.000000Z");
    EXPECT_EQ(zoned_timestamp("0001-12-31 00:00:00+00 BC", 6), "0000-12-31T00:00:00.000000Z");
    EXPECT_EQ(zoned_timestamp("infinity", 6), "infinity");
    EXPECT_EQ(zoned_timestamp("-infinity", 6), "-infinity");
    EXPECT_EQ(zoned_timestamp("2016-11-04 11:51:30+02", 6), std::nullopt) << "the session's zone is UTC";
}

TEST(TemporalText, ZonedTimesAreBroughtToUtc)
{
    EXPECT_EQ(zoned_time("13:51:30.123789+02"), "11:51:30.123789Z");
    EXPECT_EQ(zoned_time("13:51:30.1+00"), "13:51:30.1Z");
    EXPECT_EQ(zoned_time("01:00:00-10"), "11:00:00Z");
    EXPECT_EQ(zoned_time("23:59:59-11:30"), "11:29:59Z");
    EXPECT_EQ(zoned_time("01:00:00+05:45"), "19:15:00Z");
    EXPECT_EQ(zoned_time("24:00:00+00"), "00:00:00Z");
    EXPECT_EQ(zoned_time("13:51:30"), std::nullopt);
}

TEST(TemporalText, IntervalsAreMicrosecondsWithMonthsOfATwelfthOfAYear)
{
    EXPECT_EQ(interval_microseconds("1 year 2 mons 3 days 04:05:06.78"), 37'091'106'780'000);
    EXPECT_EQ(interval_microseconds("00:00:00"), 0);
    EXPECT_EQ(interval_microseconds("-1 days"), -86'400'000'000);
    EXPECT_EQ(interval_microseconds("-1 mons +2 days -03:04:05.000006"),
              -2'629'800'000'000 + 172'800'000'000 - 11'045'000'006);
    EXPECT_EQ(interval_microseconds("100000:00:00"), 360'000'000'000'000);
    EXPECT_EQ(interval_microseconds("00:00:00.000001"), 1);
    EXPECT_EQ(interval_microseconds("a while"), std::nullopt);
    EXPECT_EQ(interval_microseconds("178000000 years"), std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(interval_microseconds("-178000000 years"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(interval_microseconds("2147483647 days 9000000:00:00"), std::numeric_limits<std::int64_t>::max());
}

} // namespace
} // namespace keyshift::cdc

#include "core/log.hpp"

#include <gtest/gtest.h>

namespace keyshift::log {
namespace {

std::string written(Level least, Format format, Level level, const char* message)
{
    configure(least, format);
    testing::internal::CaptureStderr();
    write(level, "cdc", message);
    std::string text = testing::internal::GetCapturedStderr();
    configure(Level::info, Format::text);
    return text;
}

TEST(Log, TextCannotForgeALineOrDriveTheTerminal)
{
    const std::string line = written(Level::info, Format::text, Level::warning, "a\nb\x1b[31m");
    EXPECT_TRUE(line.ends_with("warning cdc: a\\nb\\u001b[31m\n")) << line;
}

TEST(Log, JsonIsOneObjectALine)
{
    const std::string line = written(Level::info, Format::json, Level::error, "say \"x\" \\ y\n");
    EXPECT_TRUE(line.ends_with(R"("level":"error","component":"cdc","message":"say \"x\" \\ y\n"})"
                               "\n"))
        << line;
}

TEST(Log, WhatIsBelowTheLevelIsNotWritten)
{
    EXPECT_EQ(written(Level::warning, Format::text, Level::info, "quiet"), "");
}

} // namespace
} // namespace keyshift::log

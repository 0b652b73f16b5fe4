#pragma once
/// Which table a data topic belongs to. Names of tables hold more than names of topics: "a.b"."c" and "a"."b.c", or "x y" and
/// "x_y", would meet in one topic, and a consumer could not tell their keys apart.

#include "core/error.hpp"
#include "core/names.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace keyshift {

class TopicNames {
public:
    explicit TopicNames(std::string prefix) : prefix_(std::move(prefix)) {}

    struct Objection {
        std::optional<QualifiedName> other; ///< the table that has the topic; none: the name itself is no topic's
        std::string why;
        std::string next;
    };
    /// Gives the table its topic, unless another has it. A table may ask again.
    std::optional<Objection> claim(const QualifiedName& table);

private:
    std::string prefix_;
    std::map<std::string, QualifiedName> owners_;
};

} // namespace keyshift

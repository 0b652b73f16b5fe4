#include "cdc/source/type_reader.hpp"

#include <array>
#include <string>

namespace keyshift::cdc {

namespace {

// OIDs below this are assigned by PostgreSQL itself (access/transam.h, FirstNormalObjectId) and never change.
constexpr std::uint32_t kFirstUserOid = 16384;

} // namespace

TypeSchema TypeReader::read(std::uint32_t oid, std::int32_t modifier)
{
    const auto remembered = built_in_.find(oid);
    TypeSchema type = remembered != built_in_.end() ? remembered->second : query(oid);
    if (oid < kFirstUserOid) {
        built_in_.emplace(oid, type);
    }
    if (modifier != -1 || type.kind != 'd') {
        type.modifier = modifier;
    }
    return type;
}

TypeSchema TypeReader::query(std::uint32_t oid)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result found = node_.run_prepared(
        "cdc type",
        "SELECT typname, typtype, CASE WHEN typsubscript = 'array_subscript_handler'::regproc THEN typelem ELSE 0 END::bigint, "
        "typbasetype::bigint, typtypmod FROM pg_catalog.pg_type WHERE oid = $1::oid",
        parameters);
    TypeSchema type;
    type.oid = oid;
    if (found.rows() == 0) {
        type.kind = TypeSchema::kDropped;
        type.name = "dropped type " + text;
        return type;
    }
    type.name = found.text(0, 0);
    type.kind = found.text(0, 1).front();
    const auto element = static_cast<std::uint32_t>(found.integer(0, 2));
    const auto base = static_cast<std::uint32_t>(found.integer(0, 3));
    if (element != 0) {
        type.element = std::make_shared<const TypeSchema>(read(element, -1));
    }
    if (base != 0) {
        type.modifier = static_cast<std::int32_t>(found.integer(0, 4));
        TypeSchema bottom = read(base, type.modifier);
        type.base = bottom.base ? bottom.base : std::make_shared<const TypeSchema>(std::move(bottom));
    }
    if (type.kind == 'e') {
        type.enum_labels = labels(oid);
    }
    return type;
}

std::vector<std::string> TypeReader::labels(std::uint32_t oid)
{
    const std::string text = std::to_string(oid);
    const std::array<pg::Parameter, 1> parameters{pg::Parameter(text)};
    const pg::Result found = node_.run_prepared(
        "cdc enum", "SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = $1::oid ORDER BY enumsortorder",
        parameters);
    std::vector<std::string> labels;
    for (int row = 0; row < found.rows(); ++row) {
        labels.emplace_back(found.text(row, 0));
    }
    return labels;
}

} // namespace keyshift::cdc

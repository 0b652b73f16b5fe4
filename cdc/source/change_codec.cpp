#include "cdc/source/change_codec.hpp"

#include <algorithm>
#include <cstring>

namespace keyshift::cdc {

namespace {

template <typename T>
void put(std::string& out, T value)
{
    static_assert(std::is_trivially_copyable_v<T>);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T take(std::string_view& in)
{
    T value{};
    std::memcpy(&value, in.data(), sizeof value);
    in.remove_prefix(sizeof value);
    return value;
}

void put_tuple(std::string& out, const std::optional<Tuple>& tuple)
{
    put(out, static_cast<std::uint32_t>(tuple ? tuple->size() + 1 : 0));
    if (!tuple) {
        return;
    }
    for (const Datum& datum : *tuple) {
        put(out, datum.kind);
        if (datum.kind == Datum::Kind::text) {
            put(out, static_cast<std::uint32_t>(datum.text.size()));
            out.append(datum.text);
        }
    }
}

std::optional<std::vector<OwnedDatum>> take_tuple(std::string_view& in)
{
    const auto count = take<std::uint32_t>(in);
    if (count == 0) {
        return std::nullopt;
    }
    std::vector<OwnedDatum> tuple(count - 1);
    for (OwnedDatum& datum : tuple) {
        datum.kind = take<Datum::Kind>(in);
        if (datum.kind == Datum::Kind::text) {
            const auto length = take<std::uint32_t>(in);
            datum.text = in.substr(0, length);
            in.remove_prefix(length);
        }
    }
    return tuple;
}

} // namespace

std::string_view ChangeCodec::encode(const Change& change)
{
    buffer_.assign(1, 'c');
    put(buffer_, relation_number(change.relation));
    put(buffer_, change.kind);
    put(buffer_, change.old_is_key);
    put_tuple(buffer_, change.before);
    put_tuple(buffer_, change.after);
    return buffer_;
}

std::string_view ChangeCodec::encode(const TransactionEnd& end)
{
    buffer_.assign(1, 't');
    put(buffer_, end);
    return buffer_;
}

std::string_view ChangeCodec::encode(const BarrierSeen& barrier)
{
    buffer_.assign(1, 'b');
    put(buffer_, barrier.lsn);
    put(buffer_, barrier.rows_under_way);
    buffer_ += barrier.id;
    return buffer_;
}

CodedItem ChangeCodec::decode(std::string_view bytes)
{
    const char kind = take<char>(bytes);
    if (kind == 't') {
        return take<TransactionEnd>(bytes);
    }
    if (kind == 'b') {
        const Lsn lsn = take<Lsn>(bytes);
        const bool rows_under_way = take<bool>(bytes);
        return BarrierSeen{std::string(bytes), lsn, rows_under_way};
    }
    OwnedChange change;
    {
        const auto number = take<std::uint32_t>(bytes);
        std::scoped_lock lock(mutex_);
        change.relation = relations_.at(number);
    }
    change.kind = take<ChangeKind>(bytes);
    change.old_is_key = take<bool>(bytes);
    change.before = take_tuple(bytes);
    change.after = take_tuple(bytes);
    return change;
}

std::uint32_t ChangeCodec::relation_number(const std::shared_ptr<const Relation>& relation)
{
    std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find(relations_, relation);
    if (found == relations_.end()) {
        relations_.push_back(relation);
        return static_cast<std::uint32_t>(relations_.size() - 1);
    }
    return static_cast<std::uint32_t>(found - relations_.begin());
}

} // namespace keyshift::cdc

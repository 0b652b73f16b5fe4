#include "cdc/source/row_batch.hpp"

#include <algorithm>
#include <stdexcept>

namespace keyshift::cdc {

namespace {

char unescaped(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        return letter;
    }
}

void append_unescaped(std::string& out, std::string_view cell)
{
    for (std::size_t at = cell.find('\\'); at != std::string_view::npos; at = cell.find('\\')) {
        out.append(cell, 0, at);
        if (at + 1 == cell.size()) {
            throw std::invalid_argument("a row of COPY ends in the middle of an escape");
        }
        out += unescaped(cell[at + 1]);
        cell.remove_prefix(at + 2);
    }
    out.append(cell);
}

std::string_view take_cell(std::string_view& line)
{
    const std::string_view cell = line.substr(0, line.find('\t'));
    line.remove_prefix(std::min(cell.size() + 1, line.size()));
    return cell;
}

} // namespace

void RowBatch::add(std::string_view line)
{
    if (line.ends_with('\n')) {
        line.remove_suffix(1);
    }
    if (labelled_) {
        label_ = take_cell(line);
    }
    starts_.push_back(text_.size());
    const std::size_t known = lengths_.size();
    if (columns_ == 0) {
        return;
    }
    if (line.find('\\') != std::string_view::npos) {
        add_escaped(line);
    } else {
        text_.append(line);
        text_ += '\t';
        for (std::size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
            lengths_.push_back(static_cast<std::uint32_t>(tab));
            line.remove_prefix(tab + 1);
        }
        lengths_.push_back(static_cast<std::uint32_t>(line.size()));
    }
    if (lengths_.size() - known != columns_) {
        throw std::invalid_argument("a row of COPY with another number of columns");
    }
}

void RowBatch::add_escaped(std::string_view line)
{
    for (bool more = true; more;) {
        more = line.find('\t') != std::string_view::npos;
        const std::string_view cell = take_cell(line);
        if (cell == "\\N") {
            lengths_.push_back(kNull);
            continue;
        }
        const std::size_t begin = text_.size();
        append_unescaped(text_, cell);
        lengths_.push_back(static_cast<std::uint32_t>(text_.size() - begin));
        text_ += '\t';
    }
}

void RowBatch::read(std::size_t row, Tuple& tuple) const
{
    tuple.resize(columns_);
    std::size_t at = starts_[row];
    const std::uint32_t* length = lengths_.data() + row * columns_;
    for (Datum& datum : tuple) {
        if (*length == kNull) {
            datum = {Datum::Kind::null, {}};
        } else {
            datum = {Datum::Kind::text, {text_.data() + at, *length}};
            at += *length + 1;
        }
        ++length;
    }
}

void RowBatch::clear()
{
    label_.clear();
    text_ = {};
    starts_ = {};
    lengths_ = {};
}

} // namespace keyshift::cdc

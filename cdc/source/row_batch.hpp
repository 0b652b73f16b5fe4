#pragma once
/// Rows as COPY writes them in its text format, unescaped and kept in one piece of memory.
/// PostgreSQL docs: "COPY", Text Format. Filled by one thread, then read by another.

#include "cdc/source/change.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::cdc {

class RowBatch {
public:
    explicit RowBatch(std::size_t columns = 0) : columns_(columns) {}

    /// One row, with or without its newline. Throws std::invalid_argument when it has another number of columns.
    void add(std::string_view line);
    std::size_t rows() const { return starts_.size(); }
    std::size_t bytes() const { return text_.size() + lengths_.size() * sizeof(std::uint32_t); }
    /// Makes `tuple` the row; its texts live as long as the batch.
    void read(std::size_t row, Tuple& tuple) const;
    /// The first column of each row is a label, and no value of it.
    void expect_label() { labelled_ = true; }
    /// Of the newest row.
    const std::string& label() const { return label_; }
    void clear();

private:
    static constexpr std::uint32_t kNull = UINT32_MAX;
    void add_escaped(std::string_view line);

    std::size_t columns_;
    bool labelled_ = false;
    std::string label_;
    std::string text_;                   ///< values, one byte between two
    std::vector<std::size_t> starts_;    ///< of each row in text_
    std::vector<std::uint32_t> lengths_; ///< of each value, row by row; or kNull
};

} // namespace keyshift::cdc

#include "data/table.hpp"

#include <utility>

#include "data/table_parts.hpp"

namespace dtrain::data {
namespace {

std::size_t size(Index n) { return static_cast<std::size_t>(n); }

/// The rows of a selection do not follow one another in their files, so that only lines can be told.
Origin origin_of_selection(const Origin& origin) {
  Origin kept = origin;
  if (origin.form == Origin::Form::binary || origin.files.size() > 1) kept.files.clear();
  return kept;
}

void select_sparse(const Table& table, std::span<const std::uint32_t> rows, TableContent& to) {
  to.begins.push_back(0);
  for (const std::uint32_t row : rows) {
    const SparseRow sparse = table.sparse_row(row);
    to.indices.insert(to.indices.end(), sparse.indices.begin(), sparse.indices.end());
    to.values.insert(to.values.end(), sparse.values.begin(), sparse.values.end());
    to.begins.push_back(to.values.size());
  }
}

}  // namespace

Table::Table(TableContent content) {
  const auto kept = std::make_shared<TableContent>(std::move(content));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(kept->bytes.data());
  parts_ = std::make_shared<Parts>(Parts{kept->kind, kept->rows, kept->width, kept->columns, kept->target, kept->origin,
                                         kept->skipped, kept->hash, std::span(bytes, kept->bytes.size()), kept->values,
                                         kept->begins, kept->indices, kept->targets, kept->lines, kept, 0});
}

Table::Kind Table::kind() const { return parts_->kind; }
Index Table::rows() const { return parts_->rows; }
Index Table::width() const { return parts_->width; }
const std::vector<Column>& Table::columns() const { return parts_->columns; }
const std::optional<Column>& Table::target() const { return parts_->target; }
std::span<const double> Table::targets() const { return parts_->targets; }
const Origin& Table::origin() const { return parts_->origin; }
Index Table::skipped() const { return parts_->skipped; }
std::uint64_t Table::hash() const { return parts_->hash; }

std::span<const std::uint8_t> Table::byte_row(std::uint32_t row) const {
  return parts_->bytes.subspan(row * size(parts_->width), size(parts_->width));
}

std::span<const float> Table::cells(std::uint32_t row) const {
  return parts_->values.subspan(row * size(parts_->width), size(parts_->width));
}

SparseRow Table::sparse_row(std::uint32_t row) const {
  const std::size_t begin = parts_->begins[row], count = parts_->begins[row + 1] - begin;
  return {parts_->indices.subspan(begin, count), parts_->values.subspan(begin, count)};
}

std::size_t Table::bytes_held() const {
  const Parts& p = *parts_;
  return p.bytes.size_bytes() + p.values.size_bytes() + p.begins.size_bytes() + p.indices.size_bytes() +
         p.targets.size_bytes() + p.lines.size_bytes();
}

Error Table::error(std::uint32_t row, Index column, std::string message) const {
  const std::uint32_t line = parts_->lines.empty() ? 0 : parts_->lines[row];
  return parts_->origin.error(row, line, column, parts_->width, std::move(message));
}

Error Table::file_error(std::string message, bool labels) const {
  const Origin& origin = parts_->origin;
  if (origin.files.empty()) return {dtrain::Kind::data, std::move(message)};
  const Origin::File& file = origin.files.front();
  return {dtrain::Kind::data,
          {origin.path(labels && !file.labels.empty() ? file.labels : file.name), 0, 0},
          std::move(message)};
}

Table Table::select(std::span<const std::uint32_t> rows) const {
  const Parts& p = *parts_;
  TableContent to;
  to.kind = p.kind;
  to.rows = std::ssize(rows);
  to.width = p.width;
  to.columns = p.columns;
  to.target = p.target;
  to.origin = origin_of_selection(p.origin);
  to.hash = p.hash;
  const auto bytes = std::make_shared<std::string>();
  for (const std::uint32_t row : rows) {
    if (p.kind == Kind::bytes) bytes->append(reinterpret_cast<const char*>(byte_row(row).data()), size(p.width));
    if (p.kind == Kind::cells) to.values.insert(to.values.end(), cells(row).begin(), cells(row).end());
    if (!p.targets.empty()) to.targets.push_back(p.targets[row]);
    if (!p.lines.empty()) to.lines.push_back(p.lines[row]);
  }
  if (p.kind == Kind::sparse) select_sparse(*this, rows, to);
  to.bytes = *bytes;
  to.bytes_owner = bytes;
  return Table(std::move(to));
}

}  // namespace dtrain::data

#include "data/encoder.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "base/text.hpp"
#include "data/labels.hpp"

namespace dtrain::data {
namespace {

std::size_t size(Index n) { return static_cast<std::size_t>(n); }

/// From this many features on, and this many to a column, rows of cells are held to be sparse.
constexpr Index sparse_width = 512, sparse_per_column = 8;

/// The number of the feature for each of the table's levels; -1 for those that the training rows did not have.
std::vector<std::int32_t> features_of_levels(const std::vector<std::string>& levels,
                                             const std::vector<std::string>& known) {
  std::unordered_map<std::string_view, std::int32_t> numbers;
  for (const std::string& level : known) numbers.emplace(level, static_cast<std::int32_t>(numbers.size()));
  std::vector<std::int32_t> features;
  for (const std::string& level : levels) {
    const auto found = numbers.find(level);
    features.push_back(found == numbers.end() ? -1 : found->second);
  }
  return features;
}

std::vector<std::int32_t> buckets_of_levels(const std::vector<std::string>& levels, const Encoding::Column& column) {
  std::vector<std::int32_t> features;
  for (const std::string& level : levels)
    features.push_back(static_cast<std::int32_t>(bucket_of(column.name, level, column.buckets)));
  return features;
}

/// The parts of each level that is a date, through all steps; of a missing one what stands for it.
std::vector<float> parts_of_levels(const std::vector<std::string>& levels, const Encoding::Column& column) {
  std::vector<float> values;
  for (const std::string& level : levels) {
    const std::optional<Date> date = level.empty() ? std::nullopt : parse_date(level);
    for (std::size_t p = 0; p < column.parts.size(); ++p) {
      double value = std::nan("");
      if (date) value = part_of(*date, column.parts[p]);
      if (level.empty() && !column.part_fills.empty()) value = column.part_fills[p];
      values.push_back(static_cast<float>(std::isnan(value) ? value : column.steps.apply(value)));
    }
  }
  return values;
}

/// The first row whose cell is bad(), which there is.
template <class Bad>
std::uint32_t first_row(const Table& table, Bad bad) {
  std::uint32_t row = 0;
  while (static_cast<Index>(row) + 1 < table.rows() && !bad(row)) ++row;
  return row;
}

}  // namespace

float Encoder::Work::number(float value) const {
  if (std::isnan(value)) return fill;
  return idle ? value : static_cast<float>(steps.apply(value));
}

Encoder::Encoder(const Table& table, const Encoding& encoding)
    : table_(table), affine_(encoding.shift, encoding.scale), width_(encoding.width) {
  if (encoding.columns.empty()) {
    check_width(encoding);
    sparse_ = table.kind() == Table::Kind::sparse && affine_.keeps_zero();
  } else {
    match(encoding);
    sparse_ = width_ >= sparse_width && width_ >= sparse_per_column * std::ssize(work_) &&
              std::all_of(work_.begin(), work_.end(), [this](const Work& work) {
                return work.kind != Work::Kind::one_hot || affine_.keeps_zero(work.feature);
              });
  }
}

void Encoder::check_width(const Encoding& encoding) const {
  if (!table_.columns().empty())
    throw table_.file_error("the model was trained on rows without named columns: it does not know these");
  if (table_.kind() != Table::Kind::sparse && table_.width() != encoding.width)
    throw table_.file_error(fmt::format("rows have {} values, but the model takes {}", table_.width(), encoding.width));
  if (table_.kind() != Table::Kind::sparse || table_.width() <= encoding.width) return;
  for (std::uint32_t row = 0; row < table_.rows(); ++row) {
    const auto indices = table_.sparse_row(row).indices;
    if (!indices.empty() && indices.back() >= encoding.width)
      throw table_.error(
          row, indices.back(),
          fmt::format("index {} is beyond the {} features of the training data", indices.back() + 1, encoding.width));
  }
}

void Encoder::match(const Encoding& encoding) {
  if (table_.columns().empty())
    throw table_.file_error("the model was trained on named columns, which these rows do not have");
  std::size_t feature = 0;
  for (const Encoding::Column& column : encoding.columns) {
    work_.push_back(work_on(column));
    work_.back().feature = feature;
    feature += work_.back().count;
    check_cells(work_.back(), column);
  }
}

Encoder::Work Encoder::work_on(const Encoding::Column& column) const {
  const auto& columns = table_.columns();
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == column.name; });
  if (found == columns.end())
    throw table_.file_error(fmt::format("of the training data: there is no column '{}'", column.name));
  if (found->text != column.is_text())
    throw table_.file_error(fmt::format("column '{}' holds {} here, but {} in the training data", column.name,
                                        found->text ? "texts" : "numbers", column.is_text() ? "texts" : "numbers"));
  Work work;
  work.cell = static_cast<std::size_t>(found - columns.begin());
  work.count = size(column.features());
  work.steps = column.steps;
  work.idle = column.steps.idle();
  work.fill = static_cast<float>(column.steps.apply(column.fill.value_or(0)));
  if (column.is_text()) work.kind = column.as == job::ColumnAs::date ? Work::Kind::numbers : Work::Kind::one_hot;
  if (column.as == job::ColumnAs::category) work.features = features_of_levels(found->levels, column.levels);
  if (column.as == job::ColumnAs::hash) work.features = buckets_of_levels(found->levels, column);
  if (column.as == job::ColumnAs::date) work.values = parts_of_levels(found->levels, column);
  return work;
}

void Encoder::check_cells(const Work& work, const Encoding::Column& column) const {
  if (column.is_text()) return check_levels(work, column);
  check_numbers(work, column);
}

/// Throws at the first missing number if there is nothing to replace it by, and at the first without a logarithm.
void Encoder::check_numbers(const Work& work, const Encoding::Column& column) const {
  const bool fills = column.fill || table_.columns()[work.cell].missing == 0;
  if (fills && column.steps.log == job::Logarithm::none) return;
  for (std::uint32_t row = 0; row < table_.rows(); ++row) {
    const float cell = table_.cells(row)[work.cell];
    if (std::isnan(cell) && !column.fill)
      throw table_.error(row, static_cast<Index>(work.cell),
                         fmt::format("column '{}' has no number here; set data.csv.missing to mean or zero, or add the "
                                     "column to data.csv.ignore",
                                     column.name));
    if (std::isnan(work.number(cell)))
      throw table_.error(row, static_cast<Index>(work.cell),
                         fmt::format("column '{}': {} has no logarithm; clip_low of its entry in data.columns may help",
                                     column.name, std::isnan(cell) ? column.fill.value_or(0) : double{cell}));
  }
}

/// Throws at the first cell that is no date, or that is missing and may not be.
void Encoder::check_levels(const Work& work, const Encoding::Column& column) const {
  const std::vector<std::string>& levels = table_.columns()[work.cell].levels;
  for (std::size_t level = 0; level < levels.size(); ++level) {
    const bool missing = levels[level].empty(), date = work.kind == Work::Kind::numbers;
    const auto first = work.values.begin() + std::ssize(work.values) / std::ssize(levels) * static_cast<Index>(level);
    const bool bad =
        date ? std::any_of(first, first + static_cast<Index>(work.count), [](float v) { return std::isnan(v); })
             : missing && column.required;
    if (!bad) continue;
    const auto row = first_row(
        table_, [&](std::uint32_t r) { return std::bit_cast<std::uint32_t>(table_.cells(r)[work.cell]) == level; });
    const std::string wanted = column.steps.log != job::Logarithm::none && !missing && parse_date(levels[level])
                                   ? "a date whose parts have logarithms"
                                   : "a date, such as 2024-02-29 or 2024-02-29T18:30:00, or seconds since 1970";
    if (missing)
      throw table_.error(
          row, static_cast<Index>(work.cell),
          fmt::format("column '{}' has no value here; give its entry in data.columns a `missing`", column.name));
    throw table_.error(row, static_cast<Index>(work.cell),
                       fmt::format("column '{}' must be {}, got '{}'", column.name, wanted, levels[level]));
  }
}

std::vector<std::string> Encoder::remarks(const Selection& rows) const {
  std::vector<std::string> out;
  for (const Work& work : work_) {
    if (work.kind != Work::Kind::one_hot) continue;
    if (std::find(work.features.begin(), work.features.end(), -1) == work.features.end()) continue;
    Index cells = 0;
    std::string example;
    for (std::size_t i = 0; static_cast<Index>(i) < rows.count(); ++i) {
      const auto level = std::bit_cast<std::uint32_t>(table_.cells(rows[i])[work.cell]);
      if (level >= work.features.size() || work.features[level] >= 0) continue;
      if (cells++ == 0) example = table_.columns()[work.cell].levels[level];
    }
    if (cells > 0)
      out.push_back(
          fmt::format("column '{}': {} of {} rows have values that the training rows lack, such as '{}'; no "
                      "feature stands for them",
                      table_.columns()[work.cell].name, cells, rows.count(), example));
  }
  return out;
}

void Encoder::encode(std::uint32_t row, float* out) const {
  switch (table_.kind()) {
    case Table::Kind::bytes: return affine_.apply(table_.byte_row(row).data(), width_, out);
    case Table::Kind::sparse: return encode_sparse(table_.sparse_row(row), out);
    case Table::Kind::cells: break;
  }
  const std::span<const float> cells = table_.cells(row);
  if (work_.empty()) return affine_.apply(cells.data(), width_, out);
  encode_cells(cells, out);
  affine_.apply(out, width_, out);
}

void Encoder::encode_cells(std::span<const float> cells, float* out) const {
  for (const Work& work : work_) {
    const float cell = cells[work.cell];
    float* to = out + work.feature;
    switch (work.kind) {
      case Work::Kind::number: *to = work.number(cell); break;
      case Work::Kind::numbers: {
        const auto level = std::bit_cast<std::uint32_t>(cell);
        for (std::size_t p = 0; p < work.count; ++p) to[p] = work.values.at(level * work.count + p);
        break;
      }
      case Work::Kind::one_hot: {
        std::fill_n(to, work.count, 0.0f);
        const auto level = std::bit_cast<std::uint32_t>(cell);
        const std::int32_t feature = level < work.features.size() ? work.features[level] : -1;
        if (feature >= 0) to[feature] = 1;
        break;
      }
    }
  }
}

void Encoder::encode_sparse(const SparseRow& row, float* out) const {
  std::fill_n(out, width_, 0.0f);
  if (!affine_.keeps_zero()) affine_.apply(out, width_, out);
  for (std::size_t k = 0; k < row.indices.size(); ++k)
    if (row.indices[k] < size(width_)) out[row.indices[k]] = affine_.apply(row.values[k], row.indices[k]);
}

void Encoder::append(std::uint32_t row, SparseBatch& batch) const {
  const auto add = [&](std::size_t feature, float value) {
    batch.indices.push_back(static_cast<std::uint32_t>(feature));
    batch.values.push_back(affine_.apply(value, feature));
  };
  if (table_.kind() == Table::Kind::sparse) {
    const SparseRow sparse = table_.sparse_row(row);
    for (std::size_t k = 0; k < sparse.indices.size(); ++k)
      if (sparse.indices[k] < size(width_)) add(sparse.indices[k], sparse.values[k]);
  }
  const std::span<const float> cells = work_.empty() ? std::span<const float>() : table_.cells(row);
  for (const Work& work : work_) {
    const float cell = cells[work.cell];
    if (work.kind == Work::Kind::number) {
      add(work.feature, work.number(cell));
    } else if (work.kind == Work::Kind::numbers) {
      const auto level = std::bit_cast<std::uint32_t>(cell);
      for (std::size_t p = 0; p < work.count; ++p) add(work.feature + p, work.values.at(level * work.count + p));
    } else if (const auto level = std::bit_cast<std::uint32_t>(cell); level < work.features.size()) {
      if (work.features[level] >= 0) add(work.feature + static_cast<std::size_t>(work.features[level]), 1);
    }
  }
  batch.begins.push_back(static_cast<std::uint32_t>(batch.values.size()));
}

std::size_t Encoder::bytes() const { return table_.bytes_held() + affine_.bytes(); }

namespace {

/// What each level of a text target is to the loss; nullopt: nothing.
std::vector<std::optional<double>> encoded_levels(const Column& target, const TargetEncoder& encode) {
  std::vector<std::optional<double>> encoded;
  for (const std::string& level : target.levels) encoded.push_back(level.empty() ? std::nullopt : encode(level));
  return encoded;
}

[[noreturn]] void wrong_target(const Table& table, std::uint32_t row, const Encoding& encoding,
                               const TargetEncoder& encode) {
  const Column& column = *table.target();
  const double value = table.targets()[row];
  const auto level = static_cast<std::size_t>(value);
  const bool known = column.text && value >= 0 && level < column.levels.size();
  const std::string text = column.text         ? (known ? column.levels[level] : "")
                           : std::isnan(value) ? ""
                                               : class_name(value);
  const std::string name = encoding.target_name.empty() ? "label" : fmt::format("target '{}'", encoding.target_name);
  if (text.empty() && encoding.target_name.empty())
    throw table.error(row, table.width(), "the row has no label, which should be " + encode.expected());
  if (text.empty()) throw table.error(row, table.width(), fmt::format("the {} has no value here", name));
  const std::string said = encoding.target_name.empty() && !column.text ? text : fmt::format("'{}'", text);
  throw table.error(
      row, table.width(),
      fmt::format("{}{} {} is not {}", name, encoding.target_name.empty() ? "" : ":", said, encode.expected()));
}

}  // namespace

std::vector<float> encode_targets(const Table& table, const Encoding& encoding, bool required) {
  std::vector<float> encoded(size(table.rows()), 0.0f);
  if (!table.target()) {
    if (required) throw table.file_error("there is no file of labels beside it (data.test.labels)");
    return encoded;
  }
  const TargetEncoder encode(encoding.classes);
  const auto levels = encoded_levels(*table.target(), encode);
  for (std::uint32_t row = 0; row < table.rows(); ++row) {
    const double value = table.targets()[row];
    std::optional<double> target;
    if (!table.target()->text) target = encode(value);
    if (table.target()->text && value >= 0 && value < static_cast<double>(levels.size()))
      target = levels[static_cast<std::size_t>(value)];
    if (!target && required) wrong_target(table, row, encoding, encode);
    encoded[row] = static_cast<float>((target.value_or(0) - encoding.target_shift) / encoding.target_scale);
  }
  return encoded;
}

Schema schema_of(const Encoding& encoding, bool target_required) {
  Schema schema;
  for (const Encoding::Column& column : encoding.columns) schema.columns.push_back({column.name, column.is_text()});
  schema.target = encoding.target_name;
  schema.width = encoding.width;
  schema.target_required = target_required;
  return schema;
}

}  // namespace dtrain::data

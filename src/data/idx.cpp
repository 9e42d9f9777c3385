#include "data/idx.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/labels.hpp"

namespace dtrain::data {
namespace {

template <class Unsigned>
Unsigned big_endian(const char* bytes) {
  Unsigned value;
  std::memcpy(&value, bytes, sizeof value);
  if constexpr (sizeof value == 2) return __builtin_bswap16(value);
  if constexpr (sizeof value == 4) return __builtin_bswap32(value);
  if constexpr (sizeof value == 8) return __builtin_bswap64(value);
}
static_assert(std::endian::native == std::endian::little);

[[noreturn]] void wrong(const std::string& file, std::string message) {
  throw Error(Kind::data, {file, 0, 0}, std::move(message));
}

constexpr const char* magic_help =
    "an IDX file starts with two zero bytes, a type (08, 09, 0b, 0c, 0d or 0e) and the number of dimensions";

void check_magic(const std::string& bytes, const std::string& file) {
  if (bytes.size() < 4) wrong(file, fmt::format("cut short: at least 4 bytes are expected, found {}", bytes.size()));
  const auto magic = big_endian<std::uint32_t>(bytes.data());
  const std::uint32_t type = magic >> 8, dimensions = magic & 0xff;
  const bool known = type == 0x08 || type == 0x09 || (type >= 0x0B && type <= 0x0E);
  if (!known || dimensions == 0) wrong(file, fmt::format("byte 0: bad magic number 0x{:08x}: {}", magic, magic_help));
}

/// Reads the dimensions; the product of rows, width and value size must be what the file holds.
void read_shape(IdxArray& array) {
  const std::size_t dimensions = static_cast<unsigned char>(array.bytes[3]);
  array.offset = 4 + 4 * dimensions;
  if (array.bytes.size() < array.offset)
    wrong(array.file,
          fmt::format("cut short in the header: {} bytes are expected, found {}", array.offset, array.bytes.size()));
  array.width = 1;
  bool overflow = false;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const Index length = big_endian<std::uint32_t>(array.bytes.data() + 4 + 4 * d);
    if (d == 0) array.rows = length;
    if (d > 0) overflow |= __builtin_mul_overflow(array.width, length, &array.width);
  }
  Index total = 0;
  overflow |= __builtin_mul_overflow(array.rows, array.width, &total);
  overflow |= __builtin_mul_overflow(total, static_cast<Index>(array.value_bytes()), &total);
  if (overflow) wrong(array.file, "byte 4: the dimensions multiply to more than 2^63 bytes");
  const std::size_t expected = array.offset + static_cast<std::size_t>(total);
  if (array.bytes.size() != expected)
    wrong(array.file, fmt::format("{}: {} bytes are expected ({} rows of {} values), found {}",
                                  array.bytes.size() < expected ? "cut short" : "too long", expected, array.rows,
                                  array.width, array.bytes.size()));
  if (total == 0)
    wrong(array.file, fmt::format("byte 4: there is nothing in it ({} rows of {} values)", array.rows, array.width));
}

class IdxSource final : public Source {
 public:
  IdxSource(IdxArray features, std::vector<IdxArray> labels)
      : features_(std::move(features)), labels_(std::move(labels)) {
    hash_ = fast_hash(bytes_of(features_.bytes));
    for (const IdxArray& labels_file : labels_) {
      check_labels(labels_file);
      hash_ = fast_hash(bytes_of(labels_file.bytes), hash_);
    }
  }
  Index rows() override { return features_.rows; }
  std::uint64_t hash() const override { return hash_; }

  Encoding survey(const job::Model& model, std::span<const std::uint32_t>) override {
    if (labels_.empty()) wrong(features_.file, "training needs labels: name the file in data.train.labels");
    Encoding encoding;
    encoding.format = job::Format::idx;
    encoding.width = features_.width;
    if (model.loss == job::Loss::softmax_cross_entropy) encoding.classes = numbered_classes(model.layers.back().dense);
    if (model.loss == job::Loss::binary_cross_entropy)
      encoding.classes = find_classes(model, label_names(), labels_.front().file);
    return encoding;
  }

  Decoded decode(const Encoding& encoding, bool labels_required) override {
    if (features_.width != encoding.width)
      wrong(features_.file,
            fmt::format("rows have {} values, but the model takes {}", features_.width, encoding.width));
    Decoded decoded;
    decoded.targets = targets(encoding, labels_required);
    decoded.features = take_features();
    return decoded;
  }

 private:
  void check_labels(const IdxArray& labels) const {
    if (labels.width != 1) wrong(labels.file, fmt::format("a label is one value, but its rows have {}", labels.width));
    if (labels.rows != features_.rows)
      wrong(labels.file, fmt::format("{} labels for the {} rows of {}", labels.rows, features_.rows, features_.file));
  }

  std::set<std::string> label_names() const {
    std::set<double> found;
    for (std::size_t i = 0; i < labels_.front().values(); ++i) found.insert(labels_.front().value(i));
    std::set<std::string> names;
    for (const double label : found) names.insert(class_name(label));
    return names;
  }

  std::vector<double> targets(const Encoding& encoding, bool required) const {
    std::vector<double> targets(static_cast<std::size_t>(features_.rows), 0.0);
    if (labels_.empty() && required) wrong(features_.file, "there is no file of labels beside it (data.test.labels)");
    if (labels_.empty()) return targets;
    const IdxArray& labels = labels_.front();
    const TargetEncoder encode(encoding.classes);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const auto target = encode(labels.value(i));
      if (!target && required)
        wrong(labels.file, fmt::format("{}: label {} is not {}", labels.place_of(i), class_name(labels.value(i)),
                                       encode.expected()));
      targets[i] = target.value_or(0);
    }
    return targets;
  }

  std::unique_ptr<Storage> take_features() {
    if (features_.type == IdxArray::Type::u8)
      return byte_storage(std::move(features_.bytes), features_.offset, features_.rows, features_.width);
    std::vector<float> values(features_.values());
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(features_.value(i));
      if (!std::isfinite(values[i]))
        wrong(features_.file, fmt::format("{}: {} is not a finite float", features_.place_of(i), features_.value(i)));
    }
    return float_storage(std::move(values), features_.rows, features_.width);
  }

  IdxArray features_;
  std::vector<IdxArray> labels_;
  std::uint64_t hash_ = 0;
};

}  // namespace

std::size_t IdxArray::value_bytes() const {
  switch (type) {
    case Type::u8:
    case Type::i8: return 1;
    case Type::i16: return 2;
    case Type::i32:
    case Type::f32: return 4;
    case Type::f64: return 8;
  }
  return 1;
}

double IdxArray::value(std::size_t i) const {
  const char* at = bytes.data() + offset + i * value_bytes();
  switch (type) {
    case Type::u8: return static_cast<unsigned char>(*at);
    case Type::i8: return static_cast<signed char>(*at);
    case Type::i16: return static_cast<std::int16_t>(big_endian<std::uint16_t>(at));
    case Type::i32: return static_cast<std::int32_t>(big_endian<std::uint32_t>(at));
    case Type::f32: return std::bit_cast<float>(big_endian<std::uint32_t>(at));
    case Type::f64: return std::bit_cast<double>(big_endian<std::uint64_t>(at));
  }
  return 0;
}

std::string IdxArray::place_of(std::size_t i) const {
  return fmt::format("row {} (byte {})", i / static_cast<std::size_t>(width) + 1, offset + i * value_bytes());
}

IdxArray parse_idx(std::string bytes, const std::string& file) {
  check_magic(bytes, file);
  IdxArray array;
  array.file = file;
  array.bytes = std::move(bytes);
  array.type = static_cast<IdxArray::Type>(array.bytes[2]);
  read_shape(array);
  return array;
}

std::unique_ptr<Source> idx_source(IdxArray features, std::vector<IdxArray> labels) {
  return std::make_unique<IdxSource>(std::move(features), std::move(labels));
}

}  // namespace dtrain::data

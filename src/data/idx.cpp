#include "data/idx.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"

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

void check_labels(const IdxArray& labels, const IdxArray& features) {
  if (labels.width != 1) wrong(labels.file, fmt::format("a label is one value, but its rows have {}", labels.width));
  if (labels.rows != features.rows)
    wrong(labels.file, fmt::format("{} labels for the {} rows of {}", labels.rows, features.rows, features.file));
}

std::vector<float> floats_of(const IdxArray& features) {
  std::vector<float> values(features.values());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(features.value(i));
    if (!std::isfinite(values[i]))
      wrong(features.file, fmt::format("{}: {} is not a finite float", features.place_of(i), features.value(i)));
  }
  return values;
}

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

Table idx_table(IdxArray features, const std::optional<IdxArray>& labels, Origin origin) {
  TableContent content;
  content.rows = features.rows;
  content.width = features.width;
  content.hash = fast_hash(bytes_of(features.bytes));
  origin.files.front().values = {features.offset, features.value_bytes()};
  if (labels) {
    check_labels(*labels, features);
    content.hash = fast_hash(bytes_of(labels->bytes), content.hash);
    content.target.emplace();
    for (std::size_t i = 0; i < labels->values(); ++i) content.targets.push_back(labels->value(i));
    origin.files.front().label_values = {labels->offset, labels->value_bytes()};
  }
  content.origin = std::move(origin);
  if (features.type == IdxArray::Type::u8) {
    content.kind = Table::Kind::bytes;
    content.bytes = std::move(features.bytes);
    content.bytes_begin = features.offset;
  } else {
    content.values = floats_of(features);
  }
  return Table(std::move(content));
}

}  // namespace dtrain::data

#include "data/idx.hpp"

#include <utility>

#include "base/error.hpp"

namespace dtrain::data {
namespace {

std::uint32_t big_endian_32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

[[noreturn]] void wrong(const std::string& file, std::string message) {
  throw Error(Kind::data, {file, 0, 0}, std::move(message));
}

constexpr const char* magic_help =
    "an IDX file starts with two zero bytes, a type (08, 09, 0b, 0c, 0d or 0e) and the number of dimensions";

NumberArray::Type type_of(std::string_view bytes, const std::string& file) {
  if (bytes.size() < 4) wrong(file, fmt::format("cut short: at least 4 bytes are expected, found {}", bytes.size()));
  const std::uint32_t magic = big_endian_32(bytes.data());
  const bool dimensions = (magic & 0xff) != 0;
  switch (dimensions ? magic >> 8 : 0) {
    case 0x08: return NumberArray::Type::u8;
    case 0x09: return NumberArray::Type::i8;
    case 0x0B: return NumberArray::Type::i16;
    case 0x0C: return NumberArray::Type::i32;
    case 0x0D: return NumberArray::Type::f32;
    case 0x0E: return NumberArray::Type::f64;
    default: wrong(file, fmt::format("byte 0: bad magic number 0x{:08x}: {}", magic, magic_help));
  }
}

/// Reads the dimensions; the product of rows, width and value size must be what the file holds.
void read_shape(NumberArray& array) {
  const std::string_view bytes = array.contents.bytes();
  const std::size_t dimensions = static_cast<unsigned char>(bytes[3]);
  array.offset = 4 + 4 * dimensions;
  if (bytes.size() < array.offset)
    wrong(array.file,
          fmt::format("cut short in the header: {} bytes are expected, found {}", array.offset, bytes.size()));
  array.width = 1;
  bool overflow = false;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const Index length = big_endian_32(bytes.data() + 4 + 4 * d);
    if (d == 0) array.rows = length;
    if (d > 0) overflow |= __builtin_mul_overflow(array.width, length, &array.width);
  }
  Index total = 0;
  overflow |= __builtin_mul_overflow(array.rows, array.width, &total);
  overflow |= __builtin_mul_overflow(total, static_cast<Index>(array.value_bytes()), &total);
  if (overflow) wrong(array.file, "byte 4: the dimensions multiply to more than 2^63 bytes");
  const std::size_t expected = array.offset + static_cast<std::size_t>(total);
  if (bytes.size() != expected)
    wrong(array.file, fmt::format("{}: {} bytes are expected ({} rows of {} values), found {}",
                                  bytes.size() < expected ? "cut short" : "too long", expected, array.rows, array.width,
                                  bytes.size()));
  if (total == 0)
    wrong(array.file, fmt::format("byte 4: there is nothing in it ({} rows of {} values)", array.rows, array.width));
}

}  // namespace

NumberArray parse_idx(Contents contents, const std::string& name, const std::string& file) {
  NumberArray array;
  array.name = name;
  array.file = file;
  array.type = type_of(contents.bytes(), file);
  array.contents = std::move(contents);
  array.big_endian = true;
  read_shape(array);
  return array;
}

}  // namespace dtrain::data

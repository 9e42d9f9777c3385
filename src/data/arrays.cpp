#include "data/arrays.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/file.hpp"
#include "base/hash.hpp"

namespace dtrain::data {
namespace {

template <class Unsigned>
Unsigned swapped(Unsigned value) {
  if constexpr (sizeof value == 2) return __builtin_bswap16(value);
  if constexpr (sizeof value == 4) return __builtin_bswap32(value);
  if constexpr (sizeof value == 8) return __builtin_bswap64(value);
  return value;
}
static_assert(std::endian::native == std::endian::little);

/// The bits of `Value`, which `Unsigned` holds.
template <class Value, class Unsigned>
Value read(const char* at, bool big_endian) {
  Unsigned bits;
  std::memcpy(&bits, at, sizeof bits);
  return std::bit_cast<Value>(big_endian ? swapped(bits) : bits);
}

double half(const char* at, bool big_endian) {
  const auto bits = read<std::uint16_t, std::uint16_t>(at, big_endian);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25));
}

void check_alike(const NumberArray& array, const NumberArray& first) {
  if (array.width != first.width)
    wrong_array(array,
                fmt::format("its rows have {} values, but those of {} have {}", array.width, first.file, first.width));
}

void check_labels(const NumberArray& labels, const NumberArray& features) {
  if (labels.width != 1) wrong_array(labels, fmt::format("a label is one value, but its rows have {}", labels.width));
  if (labels.rows != features.rows)
    wrong_array(labels, fmt::format("{} labels for the {} rows of {}", labels.rows, features.rows, features.file));
}

std::string_view values_of(const NumberArray& array) {
  return array.contents.bytes().substr(array.offset, array.values() * array.value_bytes());
}

void add_floats(const NumberArray& array, std::vector<float>& to) {
  for (std::size_t i = 0; i < array.values(); ++i) {
    to.push_back(static_cast<float>(array.value(i)));
    if (!std::isfinite(to.back()))
      wrong_array(array, fmt::format("{}: {} is not a finite float", array.place_of(i), array.value(i)));
  }
}

/// One file's bytes are used where they are.
void add_bytes(const std::vector<NumberArray>& features, TableContent& content) {
  content.kind = Table::Kind::bytes;
  if (features.size() == 1) {
    content.bytes = values_of(features.front());
    content.bytes_owner = features.front().contents.owner();
    return;
  }
  auto joined = std::make_shared<std::string>();
  for (const NumberArray& array : features) *joined += values_of(array);
  content.bytes = *joined;
  content.bytes_owner = joined;
}

}  // namespace

std::size_t NumberArray::value_bytes() const {
  switch (type) {
    case Type::u8:
    case Type::i8:
    case Type::boolean: return 1;
    case Type::u16:
    case Type::i16:
    case Type::f16: return 2;
    case Type::u32:
    case Type::i32:
    case Type::f32: return 4;
    case Type::u64:
    case Type::i64:
    case Type::f64: return 8;
  }
  return 1;
}

double NumberArray::value(std::size_t i) const {
  const char* at = contents.bytes().data() + offset + i * value_bytes();
  switch (type) {
    case Type::u8: return static_cast<unsigned char>(*at);
    case Type::i8: return static_cast<signed char>(*at);
    case Type::boolean: return *at != 0 ? 1 : 0;
    case Type::u16: return read<std::uint16_t, std::uint16_t>(at, big_endian);
    case Type::i16: return read<std::int16_t, std::uint16_t>(at, big_endian);
    case Type::u32: return read<std::uint32_t, std::uint32_t>(at, big_endian);
    case Type::i32: return read<std::int32_t, std::uint32_t>(at, big_endian);
    case Type::u64: return static_cast<double>(read<std::uint64_t, std::uint64_t>(at, big_endian));
    case Type::i64: return static_cast<double>(read<std::int64_t, std::uint64_t>(at, big_endian));
    case Type::f16: return half(at, big_endian);
    case Type::f32: return read<float, std::uint32_t>(at, big_endian);
    case Type::f64: return read<double, std::uint64_t>(at, big_endian);
  }
  return 0;
}

std::string NumberArray::place_of(std::size_t i) const {
  return fmt::format("row {} (byte {})", i / static_cast<std::size_t>(width) + 1, offset + i * value_bytes());
}

void wrong_array(const NumberArray& array, std::string message) {
  throw Error(Kind::data, {array.file, 0, 0}, std::move(message));
}

Table array_table(const std::vector<NumberArray>& features, const std::vector<NumberArray>& labels,
                  const std::string& folder) {
  TableContent content;
  content.width = features.front().width;
  content.origin.folder = folder;
  bool bytes = true;
  for (std::size_t i = 0; i < features.size(); ++i) {
    const NumberArray& array = features[i];
    check_alike(array, features.front());
    bytes = bytes && array.type == NumberArray::Type::u8;
    content.origin.files.push_back({array.name, "", content.rows, {array.offset, array.value_bytes()}, {}});
    content.rows += array.rows;
    content.hash = fast_hash(bytes_of(array.contents.bytes()), content.hash);
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    check_labels(labels[i], features[i]);
    content.hash = fast_hash(bytes_of(labels[i].contents.bytes()), content.hash);
    for (std::size_t k = 0; k < labels[i].values(); ++k) content.targets.push_back(labels[i].value(k));
    content.origin.files[i].labels = labels[i].name;
    content.origin.files[i].label_values = {labels[i].offset, labels[i].value_bytes()};
  }
  if (!labels.empty()) content.target.emplace();
  if (bytes) {
    add_bytes(features, content);
  } else {
    for (const NumberArray& array : features) add_floats(array, content.values);
  }
  return Table(std::move(content));
}

}  // namespace dtrain::data

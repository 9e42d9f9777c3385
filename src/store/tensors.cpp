#include "store/tensors.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/file.hpp"
#include "base/json.hpp"
#include "store/strict_json.hpp"

namespace dtrain::store {
namespace {

static_assert(std::endian::native == std::endian::little, "floats are copied to and from the file as they are");

// A header may name very many tensors, so it is held in a document that looks keys up by a tree.
using Header = nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t max_header_bytes = 100'000'000;
constexpr std::string_view metadata_key = "__metadata__";

struct Located {
  std::uint64_t begin = 0, end = 0;  ///< in bytes, from the start of the numbers
  std::string name;
  std::vector<Index> shape;
};

std::uint64_t unsigned_number(const Header& value, const std::string& what) {
  if (!value.is_number_unsigned()) throw std::runtime_error(what + " is not a whole number of at least 0");
  return value.get<std::uint64_t>();
}

std::vector<Index> read_shape(const Header& shape, const std::string& name) {
  if (!shape.is_array()) throw std::runtime_error("tensor " + name + ": its shape is not a list");
  std::vector<Index> sizes;
  for (const Header& size : shape) {
    const std::uint64_t value = unsigned_number(size, "tensor " + name + ": a size");
    if (value > std::numeric_limits<std::uint32_t>::max()) throw std::runtime_error("tensor " + name + " is too large");
    sizes.push_back(static_cast<Index>(value));
  }
  return sizes;
}

/// Bytes of a tensor of that shape; throws rather than wrap round.
std::uint64_t shape_bytes(const std::vector<Index>& shape, const std::string& name) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t bytes = sizeof(float);
  for (const Index size : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes))
      throw std::runtime_error("tensor " + name + " is too large");
  }
  return bytes;
}

Located read_entry(const std::string& name, const Header& entry) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    throw std::runtime_error("tensor " + name + " must have exactly dtype, shape and data_offsets");
  if (entry["dtype"] != "F32")
    throw std::runtime_error("tensor " + name + " is " + entry["dtype"].dump() + ", not F32");
  const Header& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2)
    throw std::runtime_error("tensor " + name + ": data_offsets is not a pair");
  Located located;
  located.begin = unsigned_number(offsets[0], "tensor " + name + ": an offset");
  located.end = unsigned_number(offsets[1], "tensor " + name + ": an offset");
  located.name = name;
  located.shape = read_shape(entry["shape"], name);
  if (located.end < located.begin || located.end - located.begin != shape_bytes(located.shape, name))
    throw std::runtime_error("tensor " + name + ": its range does not match its shape");
  return located;
}

std::map<std::string, std::string> read_metadata(const Header& metadata) {
  if (!metadata.is_object()) throw std::runtime_error("__metadata__ is not an object");
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) throw std::runtime_error("__metadata__ " + key + " is not a text");
    texts[key] = value.get<std::string>();
  }
  return texts;
}

/// Tensors by place; they must cover the numbers exactly, each once.
std::vector<Located> read_places(const Header& header, std::uint64_t data_bytes) {
  std::vector<Located> places;
  for (const auto& [name, entry] : header.items())
    if (name != metadata_key) places.push_back(read_entry(name, entry));
  std::stable_sort(places.begin(), places.end(), [](const Located& a, const Located& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Located& place : places) {
    if (place.begin != at)
      throw std::runtime_error("tensor " + place.name + (place.begin < at ? " overlaps another" : " leaves a hole"));
    at = place.end;
  }
  if (at > data_bytes)
    throw std::runtime_error(fmt::format("is cut short: {} bytes of numbers are missing", at - data_bytes));
  if (at < data_bytes) throw std::runtime_error(fmt::format("{} bytes belong to no tensor", data_bytes - at));
  return places;
}

std::string_view header_text(std::string_view bytes) {
  if (bytes.size() < length_bytes) throw std::runtime_error("is too short for a safetensors file");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  if (length > max_header_bytes) throw std::runtime_error("is no safetensors file (its header would exceed 100 MB)");
  if (length > bytes.size() - length_bytes) throw std::runtime_error("is cut short within its header");
  return bytes.substr(length_bytes, length);
}

TensorFile decode(std::string_view bytes) {
  const std::string_view text = header_text(bytes);
  if (text.empty() || text.front() != '{') throw std::runtime_error("its header is not a JSON object");
  const auto header = parse_strict<Header>(text, {.depth = 3, .keys = max_header_bytes});
  const std::string_view numbers = bytes.substr(length_bytes + text.size());
  TensorFile file;
  if (header.contains(metadata_key)) file.metadata = read_metadata(header[std::string(metadata_key)]);
  const std::vector<Located> places = read_places(header, numbers.size());
  file.storage.resize(numbers.size() / sizeof(float));
  if (!numbers.empty()) std::memcpy(file.storage.data(), numbers.data(), numbers.size());
  for (const Located& place : places) {
    const auto values = std::span<const float>(file.storage)
                            .subspan(place.begin / sizeof(float), (place.end - place.begin) / sizeof(float));
    file.tensors.emplace_back(place.name, TensorFile::Entry{place.shape, values});
  }
  return file;
}

std::string encode_header(const std::vector<NamedTensor>& tensors,
                          const std::vector<std::pair<std::string, std::string>>& metadata) {
  Json header = Json::object();
  for (const auto& [key, value] : metadata) header[std::string(metadata_key)][key] = value;
  std::uint64_t at = 0;
  for (const NamedTensor& tensor : tensors) {
    assert(shape_bytes(tensor.shape, tensor.name) == tensor.values.size_bytes());
    const std::uint64_t end = at + tensor.values.size_bytes();
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
  return text;
}

}  // namespace

const TensorFile::Entry* TensorFile::find(const std::string& name) const {
  for (const auto& [key, entry] : tensors)
    if (key == name) return &entry;
  return nullptr;
}

std::string encode_tensors(const std::vector<NamedTensor>& tensors,
                           const std::vector<std::pair<std::string, std::string>>& metadata) {
  const std::string header = encode_header(tensors, metadata);
  std::size_t total = length_bytes + header.size();
  for (const NamedTensor& tensor : tensors) total += tensor.values.size_bytes();
  std::string bytes;
  bytes.reserve(total);
  const std::uint64_t length = header.size();
  bytes.append(reinterpret_cast<const char*>(&length), length_bytes);
  bytes += header;
  for (const NamedTensor& tensor : tensors)
    bytes.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size_bytes());
  return bytes;
}

void write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const std::vector<std::pair<std::string, std::string>>& metadata) {
  write_file(path, encode_tensors(tensors, metadata));
}

TensorFile decode_tensors(std::string_view bytes, const std::string& path, Kind kind) {
  try {
    return decode(bytes);
  } catch (const std::runtime_error& error) {
    throw Error(kind, fmt::format("{}: {}", path, error.what()));
  }
}

TensorFile read_tensors(const std::filesystem::path& path, Kind kind) {
  return decode_tensors(read_file(path, kind), path.string(), kind);
}

}  // namespace dtrain::store

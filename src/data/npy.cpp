#include "data/npy.hpp"

#include <zip.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::data {
namespace {

[[noreturn]] void wrong(const std::string& file, std::string message) {
  throw Error(Kind::data, {file, 0, 0}, std::move(message));
}

/// The header's dictionary, and where the values begin.
struct Header {
  std::string_view text;
  std::size_t end = 0;
};

Header header_of(std::string_view bytes, const std::string& file) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (!bytes.starts_with(magic)) wrong(file, "byte 0: an NPY file starts with \\x93NUMPY");
  const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(bytes[at])}; };
  const std::size_t version = bytes.size() > 6 ? byte(6) : 0;
  if (version < 1 || version > 3) wrong(file, fmt::format("byte 6: version {} of NPY is not known", version));
  const std::size_t begin = version == 1 ? 10 : 12;
  std::size_t length = 0;
  for (std::size_t at = begin; at > 8 && bytes.size() >= begin; --at) length = length << 8 | byte(at - 1);
  if (bytes.size() < begin + length) wrong(file, fmt::format("cut short in the header at byte {}", bytes.size()));
  return {bytes.substr(begin, length), begin + length};
}

/// What follows 'key': in the dictionary.
std::string_view after_key(std::string_view text, std::string_view key, const std::string& file) {
  const std::size_t at = text.find(fmt::format("'{}'", key));
  const std::size_t colon = at == text.npos ? at : text.find(':', at);
  if (colon == text.npos) wrong(file, fmt::format("the header has no '{}'", key));
  return trim(text.substr(colon + 1));
}

void read_type(NumberArray& array, std::string_view text) {
  using Type = NumberArray::Type;
  constexpr std::array<std::pair<std::string_view, Type>, 12> types{{{"u1", Type::u8},
                                                                     {"i1", Type::i8},
                                                                     {"u2", Type::u16},
                                                                     {"i2", Type::i16},
                                                                     {"u4", Type::u32},
                                                                     {"i4", Type::i32},
                                                                     {"u8", Type::u64},
                                                                     {"i8", Type::i64},
                                                                     {"f2", Type::f16},
                                                                     {"f4", Type::f32},
                                                                     {"f8", Type::f64},
                                                                     {"b1", Type::boolean}}};
  const std::string_view shown = text.substr(0, text.find(','));
  const bool quoted = shown.size() == 5 && shown[0] == '\'' && shown[4] == '\'';
  const auto known = std::find_if(types.begin(), types.end(),
                                  [&](const auto& type) { return quoted && shown.substr(2, 2) == type.first; });
  if (known == types.end())
    wrong(array.file, fmt::format("values of type {} are not numbers that can be read; save them as float32", shown));
  array.type = known->second;
  array.big_endian = shown[1] == '>';
}

void read_shape(NumberArray& array, std::string_view text) {
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == text.npos) wrong(array.file, "the header's shape is not a tuple");
  array.rows = -1;
  array.width = 1;
  bool overflow = false;
  for (const std::string& part : split(text.substr(1, end - 1), ',')) {
    if (trim(part).empty()) continue;
    const auto length = parse_integer(trim(part));
    if (!length || *length < 0) wrong(array.file, fmt::format("the header's shape holds '{}'", part));
    if (array.rows >= 0) overflow |= __builtin_mul_overflow(array.width, *length, &array.width);
    if (array.rows < 0) array.rows = *length;
  }
  if (array.rows < 0) wrong(array.file, "a single number has no rows");
  Index total = 0;
  overflow |= __builtin_mul_overflow(array.rows, array.width, &total);
  overflow |= __builtin_mul_overflow(total, static_cast<Index>(array.value_bytes()), &total);
  const std::size_t found = array.contents.bytes().size() - array.offset;
  if (overflow || static_cast<std::size_t>(total) != found)
    wrong(array.file, fmt::format("{} rows of {} values of {} bytes do not make the {} bytes that follow the header",
                                  array.rows, array.width, array.value_bytes(), found));
  if (total == 0)
    wrong(array.file, fmt::format("there is nothing in it ({} rows of {} values)", array.rows, array.width));
}

using Archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;

Archive open_archive(std::string_view bytes, const std::string& file) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* archive = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY, &error);
  if (archive == nullptr && source != nullptr) zip_source_free(source);
  const std::string why = archive == nullptr ? zip_error_strerror(&error) : "";
  zip_error_fini(&error);
  if (archive == nullptr) wrong(file, fmt::format("not an NPZ archive: {}", why));
  return {archive, &zip_discard};
}

std::string names_in(zip_t* archive) {
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    std::string shown = name == nullptr ? "?" : name;
    if (shown.ends_with(".npy")) shown.resize(shown.size() - 4);
    names.push_back(std::move(shown));
  }
  return join(names, ", ");
}

}  // namespace

NumberArray parse_npy(Contents contents, const std::string& name, const std::string& file) {
  const Header header = header_of(contents.bytes(), file);
  NumberArray array;
  array.name = name;
  array.file = file;
  array.contents = std::move(contents);
  array.offset = header.end;
  read_type(array, after_key(header.text, "descr", file));
  if (!after_key(header.text, "fortran_order", file).starts_with("False"))
    wrong(file, "the array is in Fortran order; save numpy.ascontiguousarray(it)");
  read_shape(array, after_key(header.text, "shape", file));
  return array;
}

Contents npz_member(const Contents& archive, const std::string& member, const std::string& file) {
  const Archive opened = open_archive(archive.bytes(), file);
  const bool only = member.empty() && zip_get_num_entries(opened.get(), 0) == 1;
  zip_int64_t index = only ? 0 : zip_name_locate(opened.get(), (member + ".npy").c_str(), 0);
  if (index < 0) index = zip_name_locate(opened.get(), member.c_str(), 0);
  if (index < 0 && member.empty())
    wrong(file, fmt::format("it has several arrays ({}): name one, as in {}:x", names_in(opened.get()), file));
  if (index < 0) wrong(file, fmt::format("there is no array '{}' in it; it has {}", member, names_in(opened.get())));
  zip_stat_t info;
  zip_stat_init(&info);
  zip_stat_index(opened.get(), static_cast<zip_uint64_t>(index), 0, &info);
  // Deflate packs at most 1032 to 1: a size beyond that is a lie, and would only exhaust memory.
  if (info.size / 1032 > archive.bytes().size()) wrong(file, fmt::format("array '{}' has no size that can be", member));
  const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> in(
      zip_fopen_index(opened.get(), static_cast<zip_uint64_t>(index), 0), &zip_fclose);
  std::string bytes(info.size, '\0');
  const zip_int64_t got = in ? zip_fread(in.get(), bytes.data(), bytes.size()) : -1;
  if (got < 0 || static_cast<std::size_t>(got) != bytes.size())
    wrong(file, fmt::format("array '{}' is damaged", member));
  return Contents(std::move(bytes));
}

}  // namespace dtrain::data

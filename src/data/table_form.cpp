// A table as one block of bytes, little-endian:
//
//   header    Header below, 256 bytes
//   sections  each at a multiple of 64, in this order, absent ones empty:
//             unsigned bytes [rows, width] | floats: cells [rows, width], or values of sparse rows |
//             where sparse rows begin: 64-bit [rows + 1] | their indices: 32-bit | targets: doubles [rows] |
//             lines in the files: 32-bit [rows] | description: JSON
//
// The header's hash covers the header and the description, the body's all other sections, one after the other. Hashes
// are XXH3, 64 bits: against accidents, not against malice. Whoever opens a block may rely on its borders, not on its
// numbers: a level or an index may be beyond what the description allows.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/table_parts.hpp"

namespace dtrain::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<char, 8> magic{'d', 't', 'r', 'n', 'r', 'o', 'w', 's'};
constexpr std::uint32_t form_version = 1;
constexpr std::size_t alignment = 64;

enum Part { byte_part, value_part, begin_part, index_part, target_part, line_part, description_part, parts };

struct Section {
  std::uint64_t begin = 0, bytes = 0;
};

struct Header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0, kind = 0;
  std::uint64_t rows = 0, width = 0, skipped = 0, content_hash = 0, total = 0;
  std::array<Section, parts> sections;
  std::array<std::uint64_t, 9> reserved{};
  std::uint64_t body_hash = 0, header_hash = 0;
};
static_assert(sizeof(Header) == 256);

std::uint64_t up(std::uint64_t n) { return (n + alignment - 1) / alignment * alignment; }

std::span<const std::byte> header_bytes(const Header& header) {
  return std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_hash));
}

std::uint64_t hash_of(const Header& header, std::string_view description) {
  return fast_hash(bytes_of(description), fast_hash(header_bytes(header)));
}

/// JSON wants UTF-8, and files hold what they like: byte by byte, as the code points 0 to 255.
std::string widened(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) text += static_cast<char>(0xc0 | byte >> 6);
    text += byte >= 0x80 ? static_cast<char>(0x80 | (byte & 0x3f)) : c;
  }
  return text;
}

std::string narrowed(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const bool pair = lead >= 0x80 && i + 1 < text.size();
    bytes += pair ? static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f)) : text[i];
  }
  return bytes;
}

Json to_json(const Column& column) {
  Json levels = Json::array();
  for (const std::string& level : column.levels) levels.push_back(widened(level));
  return {{"name", widened(column.name)}, {"text", column.text}, {"levels", levels}, {"missing", column.missing}};
}

Column column_of(const Json& json) {
  Column column{
      narrowed(json.at("name").get<std::string>()), json.at("text").get<bool>(), {}, json.at("missing").get<Index>()};
  for (const Json& level : json.at("levels")) column.levels.push_back(narrowed(level.get<std::string>()));
  return column;
}

[[noreturn]] void refuse(const std::string& name, std::string_view why) {
  throw Error(Kind::data, {name, 0, 0}, fmt::format("not a table of rows as dtrain writes it: {}", why));
}

Header header_of(std::string_view block, const std::string& name) {
  Header header;
  if (block.size() < sizeof header) refuse(name, fmt::format("{} bytes are too few", block.size()));
  std::memcpy(&header, block.data(), sizeof header);
  if (header.magic != magic) refuse(name, "it starts otherwise");
  if (header.version != form_version)
    refuse(name, fmt::format("it has form {}, this program reads form {}", header.version, form_version));
  if (header.total != block.size())
    refuse(name, fmt::format("{} bytes are expected, found {}; is it cut short?", header.total, block.size()));
  for (const Section& section : header.sections)
    if (section.begin % alignment != 0 || section.begin < sizeof header || section.begin > header.total ||
        section.bytes > header.total - section.begin)
      refuse(name, "a section lies beyond its end");
  return header;
}

std::string_view section_of(std::string_view block, const Header& header, Part part) {
  return block.substr(header.sections[part].begin, header.sections[part].bytes);
}

/// `count` values, or none if `wanted` is false.
template <class Value>
std::span<const Value> values_of(std::string_view block, const Header& header, Part part, std::uint64_t count,
                                 bool wanted, const std::string& name) {
  const std::string_view bytes = section_of(block, header, part);
  if (!wanted) count = 0;
  if (bytes.size() / sizeof(Value) != count || bytes.size() % sizeof(Value) != 0)
    refuse(name, "a section has another length than the rows say");
  return {reinterpret_cast<const Value*>(bytes.data()), static_cast<std::size_t>(count)};
}

void check_sparse(std::span<const std::uint64_t> begins, std::size_t entries, const std::string& name) {
  if (begins.front() != 0 || begins.back() != entries) refuse(name, "rows do not begin where entries do");
  for (std::size_t row = 1; row < begins.size(); ++row)
    if (begins[row] < begins[row - 1]) refuse(name, fmt::format("row {} ends before it begins", row));
}

using Piece = std::span<const std::byte>;

/// A file that may not stay in memory is read row by row, as batches want them: what the kernel reads ahead of each would
/// push out what is wanted next. One that does stay is in memory sooner by reading ahead.
std::size_t machine_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Table Table::of_block(std::string_view block, std::shared_ptr<const void> owner, const std::string& name) {
  const Header header = header_of(block, name);
  const std::string_view description = section_of(block, header, description_part);
  if (header.header_hash != hash_of(header, description)) refuse(name, "its header is damaged");
  std::uint64_t area = 0;
  if (header.kind > static_cast<std::uint32_t>(Kind::sparse) || header.rows >= ~std::uint32_t{0} ||
      header.width > std::uint64_t{1} << 32 || __builtin_mul_overflow(header.rows, header.width, &area))
    refuse(name, "its header is out of range");
  auto made = std::make_shared<Parts>();
  Parts& p = *made;
  p.kind = static_cast<Kind>(header.kind);
  p.rows = static_cast<Index>(header.rows);
  p.width = static_cast<Index>(header.width);
  p.skipped = static_cast<Index>(header.skipped);
  p.hash = header.content_hash;
  p.body_hash = header.body_hash;
  p.owner = std::move(owner);
  try {
    const Json json = Json::parse(description);
    for (const Json& column : json.at("columns")) p.columns.push_back(column_of(column));
    if (!json.at("target").is_null()) p.target = column_of(json.at("target"));
    p.origin = Origin::from_json(json.at("origin"));
  } catch (const Json::exception&) {
    refuse(name, "its description cannot be read");
  }
  if (!p.columns.empty() && std::ssize(p.columns) != p.width) refuse(name, "columns are described that are not there");
  const bool sparse = p.kind == Kind::sparse;
  const std::uint64_t entries = header.sections[index_part].bytes / sizeof(std::uint32_t);
  p.bytes = values_of<std::uint8_t>(block, header, byte_part, area, p.kind == Kind::bytes, name);
  p.values = values_of<float>(block, header, value_part, sparse ? entries : area, p.kind != Kind::bytes, name);
  p.begins = values_of<std::uint64_t>(block, header, begin_part, header.rows + 1, sparse, name);
  p.indices = values_of<std::uint32_t>(block, header, index_part, entries, sparse, name);
  p.targets = values_of<double>(block, header, target_part, header.rows, p.target.has_value(), name);
  p.lines =
      values_of<std::uint32_t>(block, header, line_part, header.rows, p.origin.form != Origin::Form::binary, name);
  if (sparse) check_sparse(p.begins, p.indices.size(), name);
  return Table(std::move(made));
}

struct Table::Block {
  std::string description;
  Header header;
  std::array<Piece, parts> pieces;

  explicit Block(const Parts& p);
  /// Visits the bytes after the header, in order.
  template <class Visit>
  void for_each_piece(Visit visit) const {
    static constexpr std::array<std::byte, alignment> zeros{};
    for (const Piece& piece : pieces) {
      visit(piece);
      visit(std::span(zeros).first(up(piece.size()) - piece.size()));
    }
  }
};

Table::Block::Block(const Parts& p) {
  Json json{{"columns", Json::array()}, {"target", nullptr}, {"origin", p.origin.to_json()}};
  for (const Column& column : p.columns) json["columns"].push_back(to_json(column));
  if (p.target) json["target"] = to_json(*p.target);
  description = json.dump();
  pieces = {std::as_bytes(p.bytes),   std::as_bytes(p.values), std::as_bytes(p.begins), std::as_bytes(p.indices),
            std::as_bytes(p.targets), std::as_bytes(p.lines),  bytes_of(description)};
  header.magic = magic;
  header.version = form_version;
  header.kind = static_cast<std::uint32_t>(p.kind);
  header.rows = static_cast<std::uint64_t>(p.rows);
  header.width = static_cast<std::uint64_t>(p.width);
  header.skipped = static_cast<std::uint64_t>(p.skipped);
  header.content_hash = p.hash;
  header.total = sizeof header;
  for (std::size_t part = 0; part < parts; ++part) {
    header.sections[part] = {header.total, pieces[part].size()};
    header.total = up(header.total + pieces[part].size());
    if (part != description_part) header.body_hash = fast_hash(pieces[part], header.body_hash);
  }
  header.header_hash = hash_of(header, description);
}

std::string Table::bytes() const {
  const Block block(*parts_);
  std::string bytes(reinterpret_cast<const char*>(&block.header), sizeof block.header);
  bytes.reserve(block.header.total);
  block.for_each_piece([&](Piece piece) { bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size()); });
  return bytes;
}

void Table::write(const std::string& path) const {
  const Block block(*parts_);
  replace_file(path, [&](const std::function<void(Piece)>& put) {
    put(std::as_bytes(std::span(&block.header, 1)));
    block.for_each_piece(put);
  });
}

void Table::verify(const std::string& name) const {
  const Parts& p = *parts_;
  if (p.body_hash != 0 && Block(p).header.body_hash != p.body_hash)
    refuse(name, "its numbers are not those that were written");
}

Table Table::from_bytes(std::string bytes, const std::string& name) {
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  return of_block(*owner, owner, name);
}

Table Table::map(const std::string& path, const std::string& folder) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) {
    const int code = errno;
    if (fd >= 0) ::close(fd);
    throw Error(dtrain::Kind::data, with_errno("cannot open " + path, code));
  }
  const auto length = static_cast<std::size_t>(info.st_size);
  void* memory = length == 0 ? nullptr : ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
  const int code = errno;
  ::close(fd);
  if (length == 0) refuse(path, "it is empty");
  if (memory == MAP_FAILED) throw Error(dtrain::Kind::data, with_errno("cannot map " + path, code));
  if (length > machine_memory() / 2) ::madvise(memory, length, MADV_RANDOM);
  const std::shared_ptr<const void> owner(memory, [length](const void* m) { ::munmap(const_cast<void*>(m), length); });
  Table table = of_block({static_cast<const char*>(memory), length}, owner, path);
  auto located = std::make_shared<Parts>(*table.parts_);
  located->origin.folder = folder;
  return Table(std::move(located));
}

}  // namespace dtrain::data

#include "data/cache.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"

namespace dtrain::data {
namespace {

/// Changes when anything would be parsed otherwise than before.
constexpr int parse_version = 1;

Json described(const Schema& schema) {
  Json columns = Json::array();
  for (const Schema::Column& column : schema.columns) columns.push_back({column.name, column.text});
  return {columns, schema.target, schema.width, schema.target_required};
}

/// All that decides what is read from given contents.
std::string how(const job::Data& data, const job::Files& files, const Reading& reading) {
  const job::Csv& csv = data.csv;
  Json json{parse_version,      static_cast<int>(data.format),
            files.features,     files.labels,
            csv.delimiter,      csv.header,
            csv.missing_values, csv.target,
            csv.categorical,    csv.ignore,
            data.skip_bad_rows, data.skip_bad_rows > 0 && reading.numeric_target};
  for (const job::ColumnRule& rule : data.columns) json.push_back({rule.names, static_cast<int>(rule.as)});
  if (reading.schema != nullptr) {
    json.push_back(described(*reading.schema));
  } else {
    json.push_back(data.libsvm_features);
  }
  return hex(fast_hash(bytes_of(json.dump(-1, ' ', true, Json::error_handler_t::replace))));
}

}  // namespace

Cache::Cache(const job::Data& data, const job::Files& files, const Reading& reading, const std::string& first_file)
    : origin_folder_(data.dir), how_(how(data, files, reading)) {
  folder_ = data.cache == "auto" ? (fs::path(first_file).parent_path() / ".dtrain-cache").string()
                                 : (fs::path(data.dir) / data.cache).string();
}

std::string Cache::path(std::uint64_t hash, const char* ending) const {
  return fmt::format("{}/{}-{}.{}", folder_, hex(hash), how_, ending);
}

std::optional<Table> Cache::find(std::uint64_t content_hash) const {
  const std::string file = path(content_hash, "rows");
  if (::access(file.c_str(), R_OK) != 0) return std::nullopt;
  try {
    Table table = Table::map(file, origin_folder_);
    table.verify(file);
    if (table.hash() == content_hash) return table;
  } catch (const Error&) {  // damaged: it is made anew
  }
  return std::nullopt;
}

std::optional<Table> Cache::find_packed(std::uint64_t packed_hash) const {
  std::error_code none;
  const std::string target = fs::read_symlink(path(packed_hash, "packed"), none).string();
  if (none || target.size() < 16) return std::nullopt;
  std::uint64_t content_hash = 0;
  for (const char c : target.substr(0, 16)) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    content_hash = content_hash << 4 | digit;
  }
  return find(content_hash);
}

Table Cache::keep(const Table& table) const {
  try {
    if (!fs::exists(folder_)) {
      make_folder(folder_);
      replace_file(fs::path(folder_) / ".gitignore", "*\n");
      replace_file(fs::path(folder_) / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    }
    const std::string file = path(table.hash(), "rows");
    table.write(file);
    return Table::map(file, origin_folder_);
  } catch (const Error& error) {  // no room, or not ours to write
    return table;
  } catch (const fs::filesystem_error&) {
    return table;
  }
}

void Cache::link(std::uint64_t packed_hash, std::uint64_t content_hash) const {
  const fs::path target = fs::path(path(content_hash, "rows")).filename();
  const std::string link = path(packed_hash, "packed"), aside = fmt::format("{}.{}.part", link, hex(entropy()));
  std::error_code code;
  fs::create_symlink(target, aside, code);
  if (!code) fs::rename(aside, link, code);
}

}  // namespace dtrain::data

#include "data/files.hpp"

#include <glob.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/cache.hpp"
#include "data/csv_table.hpp"
#include "data/generate.hpp"
#include "data/idx.hpp"
#include "data/libsvm.hpp"
#include "data/npy.hpp"

namespace dtrain::data {
namespace {

/// Smaller files are parsed as fast as they are found in the cache. What is packed is several times as large inside.
constexpr std::size_t cached_from_bytes = std::size_t{1} << 20, cached_from_packed_bytes = cached_from_bytes / 8;

struct NamedFile {
  std::string name;  ///< as in the job, patterns replaced by what they stand for
  std::string path;
  std::string member;  ///< of an archive; "" if the file is none
};

/// "data.npz:x" into archive and member.
NamedFile split_member(const std::string& name) {
  const std::size_t at = name.rfind(".npz:");
  if (at == name.npos) return {name, name, ""};
  return {name, name.substr(0, at + 4), name.substr(at + 5)};
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int code = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + (code == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  if (code == GLOB_NOSPACE) fail(Kind::environment, "no memory to list {}", pattern);
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<NamedFile> expand(const job::Data& data, const std::string& name) {
  if (name.empty()) return {};
  NamedFile file = split_member(name);
  file.path = resolve(data, file.path);
  if (file.path.find_first_of("*?[") == std::string::npos || fs::exists(file.path)) return {file};
  std::vector<NamedFile> files;
  for (const std::string& path : matches(file.path)) {
    const bool inside = !data.dir.empty() && fs::path(name).is_relative();
    const std::string shown = inside ? fs::path(path).lexically_relative(data.dir).string() : path;
    files.push_back({file.member.empty() ? shown : shown + ":" + file.member, path, file.member});
  }
  if (files.empty()) throw Error(Kind::data, {file.path, 0, 0}, "no file matches this pattern");
  return files;
}

/// Files as they are: of features, or of labels.
struct Raw {
  std::vector<NamedFile> files;
  std::vector<Contents> contents;
};

/// The files of one part.
struct RawPart {
  Raw features, labels;

  std::uint64_t hash() const {
    std::uint64_t hash = 0;
    for (const Raw* raw : {&features, &labels})
      for (const Contents& contents : raw->contents) hash = fast_hash(bytes_of(contents.bytes()), hash);
    return hash;
  }
  std::size_t bytes() const {
    std::size_t bytes = 0;
    for (const Contents& contents : features.contents) bytes += contents.bytes().size();
    return bytes;
  }
  /// Whether any must be unpacked, be it from an archive.
  bool packed() const {
    for (const Raw* raw : {&features, &labels})
      for (std::size_t i = 0; i < raw->files.size(); ++i)
        if (is_packed(raw->contents[i].bytes()) || !raw->files[i].member.empty()) return true;
    return false;
  }
};

Raw read_raw_files(std::vector<NamedFile> files) {
  Raw raw{std::move(files), {}};
  for (const NamedFile& file : raw.files) raw.contents.push_back(read_raw(file.path));
  return raw;
}

NumberArray array_of(const NamedFile& file, const Contents& raw, job::Format format) {
  Contents contents = unpack(raw, file.path);
  if (format == job::Format::idx) return parse_idx(std::move(contents), file.name, file.path);
  const bool archive = !file.member.empty() || contents.bytes().starts_with("PK\x03\x04");
  if (archive) contents = npz_member(contents, file.member, file.path);
  return parse_npy(std::move(contents), file.name, file.path);
}

std::vector<NumberArray> arrays_of(const Raw& raw, job::Format format) {
  std::vector<NumberArray> arrays;
  for (std::size_t i = 0; i < raw.files.size(); ++i) arrays.push_back(array_of(raw.files[i], raw.contents[i], format));
  return arrays;
}

Table read_arrays(const job::Data& data, const Raw& features, const Raw& labels) {
  if (!labels.files.empty() && labels.files.size() != features.files.size())
    fail(Kind::data, "{} files of labels ({}..) for {} of features ({}..)", labels.files.size(),
         labels.files.front().path, features.files.size(), features.files.front().path);
  return array_table(arrays_of(features, data.format), arrays_of(labels, data.format), data.dir);
}

IndexLimit limit_of(const job::Data& data, const Schema* schema) {
  if (schema != nullptr) return {schema->width, fmt::format("the {} features of the training data", schema->width)};
  return {data.libsvm_features, fmt::format("data.libsvm.features = {}", data.libsvm_features)};
}

Table read_texts(const job::Data& data, const Raw& raw, const Reading& reading) {
  std::vector<Contents> unpacked;
  std::vector<TextFile> texts;
  for (std::size_t i = 0; i < raw.files.size(); ++i) {
    unpacked.push_back(unpack(raw.contents[i], raw.files[i].path));
    texts.push_back({raw.files[i].name, unpacked.back().bytes()});
  }
  if (data.format != job::Format::libsvm)
    return parse_csv(texts, data.dir, data, reading.schema, reading.numeric_target);
  const bool needs_label = reading.schema == nullptr || reading.schema->target_required;
  return parse_libsvm(texts, data.dir, limit_of(data, reading.schema), static_cast<std::size_t>(data.skip_bad_rows),
                      needs_label);
}

bool is_text(job::Format format) {
  return format == job::Format::csv || format == job::Format::tsv || format == job::Format::libsvm;
}

Table read_part(const job::Data& data, const RawPart& part, const Reading& reading) {
  return is_text(data.format) ? read_texts(data, part.features, reading)
                              : read_arrays(data, part.features, part.labels);
}

Table read_cached(const job::Data& data, const RawPart& part, const Reading& reading, const Cache& cache) {
  const bool packed = part.packed();
  const std::uint64_t hash = part.hash();
  if (auto table = packed ? cache.find_packed(hash) : cache.find(hash)) return *std::move(table);
  Table table = cache.keep(read_part(data, part, reading));
  if (packed) cache.link(hash, table.hash());
  return table;
}

std::optional<std::uint64_t> number_of(const std::string& hash) {
  if (hash.size() != 16 || hash.find_first_not_of("0123456789abcdef") != hash.npos) return std::nullopt;
  return std::stoull(hash, nullptr, 16);
}

/// What another process has put into the cache, found by what it should hold.
std::optional<Table> find_shared(const job::Data& data, const Reading& reading, const Cache& cache) {
  const auto hash = number_of(reading.expected_hash);
  if (data.sharing != job::Sharing::shared_files || !hash) return std::nullopt;
  return cache.find(*hash);
}

}  // namespace

Table read_files(const job::Data& data, const job::Files& files, const Reading& reading) {
  if (files.features.empty()) fail(Kind::data, "no file of features is named");
  if (data.format == job::Format::generated) fail(Kind::data, "generated data has no files: name a data format");
  std::vector<NamedFile> features = expand(data, files.features);
  if (data.format == job::Format::mapped) {
    if (features.size() > 1)
      fail(Kind::data, "{} stands for {} files, but a mapped table is one", files.features, features.size());
    return Table::map(features.front().path, data.dir);
  }
  const Cache cache(data, files, reading, features.front().path);
  if (data.cache != "off")
    if (auto table = find_shared(data, reading, cache)) return *std::move(table);
  const RawPart part{read_raw_files(std::move(features)), read_raw_files(expand(data, files.labels))};
  const bool packed = part.packed();
  const bool large = part.bytes() >= (packed ? cached_from_packed_bytes : cached_from_bytes);
  if (data.cache != "off" && large && (is_text(data.format) || packed)) return read_cached(data, part, reading, cache);
  return read_part(data, part, reading);
}

std::optional<Table> raw_part(const job::Job& job, Part part, const Table* train) {
  if (job.data.format == job::Format::generated) {
    if (part == Part::test && job.data.generate.test_rows == 0) return std::nullopt;
    return generated_table(job.data.generate, job.seed, part);
  }
  if (part == Part::train) {
    Table table = read_files(job.data, job.data.train, {});
    if (job.data.format == job::Format::mapped) table.verify(resolve(job.data, job.data.train.features));
    return table;
  }
  if (job.data.test.features.empty()) return std::nullopt;
  Schema schema;
  for (const Column& column : train->columns()) schema.columns.push_back({column.name, column.text});
  schema.target = train->target() ? train->target()->name : "";
  schema.width = train->width();
  schema.target_required = false;
  return read_files(job.data, job.data.test, {&schema, false, ""});
}

}  // namespace dtrain::data

#pragma once
/// What the tests of the data room share: files that go away, jobs over them, and all rows at once.

#include <doctest/doctest.h>

#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <initializer_list>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "data/data.hpp"

namespace dtrain::data {

/// A fresh folder, gone at the end of the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "dtrain-data-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string path() const { return path_.string(); }
  std::string write(const std::string& name, const std::string& text) const {
    write_file(path_ / name, text);
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

inline fs::path source_root() {
  // __FILE__ is absolute, or relative to the build folder, in which this program lies in tests/.
  const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  return (build / __FILE__).lexically_normal().parent_path().parent_path().parent_path();
}

/// The folder of a real data set; empty, with a message, where it is absent.
inline std::string real_set(const std::string& name) {
  const char* named = std::getenv("DTRAIN_DATASETS");
  const fs::path folder = (named != nullptr ? fs::path(named) : source_root() / "../shared/datasets") / name;
  if (fs::exists(folder)) return folder.string();
  MESSAGE("skipped: no data set " << name << " (set DTRAIN_DATASETS to the folder that holds it)");
  return {};
}

inline std::string packed(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

template <class Act>
std::string refused(Act act, Kind kind = Kind::data) {
  try {
    act();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  FAIL_CHECK("nothing was refused");
  return {};
}

inline void check_contains(const std::string& text, std::initializer_list<std::string> parts) {
  CAPTURE(text);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

inline job::Job job_for(job::Format format, job::Loss loss = job::Loss::softmax_cross_entropy,
                        std::int64_t outputs = 10) {
  job::Job job;
  job.seed = 7;
  job.data.format = format;
  job.model.loss = loss;
  job.model.layers.emplace_back().dense = outputs;
  return job;
}

/// A csv job over texts in a folder.
inline job::Job csv_job(const Folder& folder, const std::string& train, const std::string& test = "",
                        job::Loss loss = job::Loss::softmax_cross_entropy) {
  job::Job job = job_for(job::Format::csv, loss);
  job.data.dir = folder.path();
  folder.write("train.csv", train);
  job.data.train.features = "train.csv";
  if (test.empty()) return job;
  folder.write("test.csv", test);
  job.data.test.features = "test.csv";
  return job;
}

struct Gathered {
  std::vector<std::vector<float>> features;
  std::vector<float> targets;
  bool operator==(const Gathered&) const = default;
};

inline Gathered gather_all(const Rows& rows) {
  std::vector<std::uint32_t> all(static_cast<std::size_t>(rows.count()));
  std::iota(all.begin(), all.end(), 0u);
  std::vector<float> features(all.size() * static_cast<std::size_t>(rows.width()));
  Gathered gathered;
  gathered.targets.resize(all.size());
  rows.gather(all, Matrix(features.data(), rows.count(), rows.width()), gathered.targets);
  for (Index r = 0; r < rows.count(); ++r) {
    const auto row = features.begin() + r * rows.width();
    gathered.features.emplace_back(row, row + rows.width());
  }
  return gathered;
}

/// survey() and then load() of one part.
inline Gathered loaded(const job::Job& job, Part part = Part::train) {
  const Survey found = survey(job);
  return gather_all(*load(job, found.encoding, part, found.facts.hash));
}

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

inline std::string idx(int type, std::initializer_list<std::uint32_t> dimensions, const std::string& values) {
  std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(dimensions.size())};
  for (const std::uint32_t dimension : dimensions) bytes += big_endian(dimension);
  return bytes + values;
}

}  // namespace dtrain::data

#pragma once
/// The folder that a run leaves: its files, and who may write where in it.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/json.hpp"
#include "job/job.hpp"

namespace dtrain::report {

class RunFolder {
 public:
  /// Makes the folder for a new run, with logs/ and checkpoints/ in it: `out` itself if given (--out; it may exist if
  /// it is empty), else output.dir/NAME or NAME-2, NAME-3, .. by if_exists. Private to the user (0700). Two processes
  /// never get the same folder. Throws Error(Kind::environment); where the folder exists and may not be taken, one that
  /// names it and the remedy. `replace` removes a folder only if it has a resolved.yaml, which every run writes.
  static RunFolder create(const job::Job& job, const std::string& out);
  /// Opens an existing one for resume; throws Error(Kind::checkpoint) if it is none.
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log(const std::string& role, int rank) const;

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// A file of lines, appended unbuffered. A line that a crash left unfinished is ended first, so that it spoils no
/// other.
class LinesFile {
 public:
  explicit LinesFile(const std::filesystem::path& file);
  /// Whole lines. Throws Error(Kind::environment) if they cannot be written (a full disk).
  void put(const std::string& lines);

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::filesystem::path path_;
};

/// metrics.jsonl: one object a line, each with `event` and `time`.
class MetricsFile {
 public:
  explicit MetricsFile(const std::filesystem::path& file) : file_(file) {}
  /// `event`: an object; `time` is added (UTC) if it has none. Throws as LinesFile::put().
  void write(const Json& event);

 private:
  LinesFile file_;
};

}  // namespace dtrain::report

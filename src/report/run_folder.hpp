#pragma once
/// The folder that a run leaves: its files, and who may write where in it.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/json.hpp"
#include "job/job.hpp"

namespace dtrain::report {

class RunFolder {
 public:
  /// Makes the folder for a new run, with logs/ and checkpoints/ in it: `out` itself if given (--out; it may exist if
  /// it is empty), else output.dir/NAME or NAME-2, NAME-3, .. by if_exists. Private to the user (0700). Two processes
  /// never get the same folder. Throws Error(Kind::environment); where the folder exists and may not be taken, one that
  /// names it and the remedy. `replace` removes a folder only if it has a resolved.yaml, which every run writes, and
  /// nobody trains in it.
  static RunFolder create(const job::Job& job, const std::string& out);
  /// Opens an existing one for resume; throws Error(Kind::checkpoint) if it is none, and Error(Kind::environment) while
  /// another process trains in it.
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log(const std::string& role, int rank) const;

 private:
  /// An flock(2) on the folder itself: it goes with the process, and leaves nothing.
  class Lock {
   public:
    /// Throws Error(Kind::environment) if another process has it. A file system that knows no locks has none.
    explicit Lock(const std::filesystem::path& folder);
    ~Lock();
    Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Lock& operator=(Lock&&) = delete;

   private:
    int fd_;
  };
  RunFolder(std::filesystem::path path, Lock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  static void replace(const std::filesystem::path& path);
  static std::filesystem::path claim_exactly(const std::filesystem::path& path, job::IfExists if_exists);
  static std::filesystem::path claim_by_name(const std::filesystem::path& path, job::IfExists if_exists);
  std::filesystem::path path_;
  Lock lock_;
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

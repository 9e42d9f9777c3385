#include "report/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "base/time.hpp"

namespace dtrain::report {
namespace {

/// mkdir of the last component only, so that exactly one of several processes gets the name. False if it is taken.
bool claim(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return true;
  if (errno == EEXIST) return false;
  throw Error(Kind::environment, with_errno("cannot make the folder " + path.string(), errno) +
                                     "; choose another place with --out or output.dir");
}

bool is_run(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / "resolved.yaml", ignored);
}

bool is_empty_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(path, ignored)) && fs::is_empty(path, ignored);
}

[[noreturn]] void refuse(const fs::path& path) {
  fail(Kind::environment, "{} exists already; remove it, choose another with --out, or set output.if_exists to {}",
       path.string(), is_run(path) ? "new or replace" : "new");
}

fs::path claim_new(const fs::path& base) {
  fs::path path = base;
  for (int number = 2; !claim(path); ++number) path = fmt::format("{}-{}", base.string(), number);
  return path;
}

/// The folder's name comes from the job, so it must be one component.
fs::path run_path(const job::Job& job) {
  if (job.name.empty() || job.name == "." || job.name == ".." || job.name.find('/') != std::string::npos)
    fail(Kind::job, "the job's name \"{}\" cannot name a folder; set `name` or give --out", job.name);
  return fs::path(job.output.dir) / job.name;
}

fs::path without_trailing_slash(const std::string& text) {
  fs::path path(text);
  return path.has_filename() ? path : path.parent_path();
}

/// Whether appending must first end a line that a crash left unfinished.
bool ends_within_line(const fs::path& path) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  if (code || size == 0) return false;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  return file != nullptr && std::fseek(file.get(), -1, SEEK_END) == 0 && std::fgetc(file.get()) != '\n';
}

}  // namespace

RunFolder::Lock::Lock(const fs::path& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0) throw Error(Kind::environment, with_errno("cannot open " + folder.string(), errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(fd_);
  fail(Kind::environment, "{} is in use: another dtrain trains in it; wait for that, or end it", folder.string());
}

RunFolder::Lock::~Lock() {
  if (fd_ >= 0) ::close(fd_);
}

/// Removes an old run and takes its name. What is not a run of ours stays.
void RunFolder::replace(const fs::path& path) {
  std::error_code code;
  if (!fs::is_directory(fs::symlink_status(path, code)) || !is_run(path))
    fail(
        Kind::environment,
        "{} exists and is not the folder of a run (it has no resolved.yaml), so it is not replaced; remove it yourself "
        "or choose another with --out",
        path.string());
  const Lock lock(path);
  fs::remove_all(path, code);
  if (code) throw Error(Kind::environment, with_errno("cannot remove the old run " + path.string(), code.value()));
  if (!claim(path))
    fail(Kind::environment, "{} was made again by another process while it was replaced", path.string());
}

/// --out names one folder: it is never changed into another, but an empty one will do.
fs::path RunFolder::claim_exactly(const fs::path& path, job::IfExists if_exists) {
  if (claim(path) || is_empty_folder(path)) return path;
  if (if_exists != job::IfExists::replace)
    fail(Kind::environment, "{} exists already; remove it, choose another, or set output.if_exists to replace",
         path.string());
  replace(path);
  return path;
}

fs::path RunFolder::claim_by_name(const fs::path& path, job::IfExists if_exists) {
  if (if_exists == job::IfExists::make_new) return claim_new(path);
  if (!claim(path)) {
    if (if_exists == job::IfExists::fail) refuse(path);
    replace(path);
  }
  return path;
}

RunFolder RunFolder::create(const job::Job& job, const std::string& out) {
  const fs::path wanted = out.empty() ? run_path(job) : without_trailing_slash(out);
  if (wanted.has_parent_path()) make_folder(wanted.parent_path());
  const fs::path path =
      out.empty() ? claim_by_name(wanted, job.output.if_exists) : claim_exactly(wanted, job.output.if_exists);
  Lock lock(path);
  make_folder(path / "logs");
  make_folder(path / "checkpoints");
  return RunFolder(path, std::move(lock));
}

RunFolder RunFolder::open(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored))
    fail(Kind::checkpoint, "{} is no folder, so there is no run in it", path.string());
  if (!is_run(path)) fail(Kind::checkpoint, "{} is not the folder of a run: it has no resolved.yaml", path.string());
  Lock lock(path);
  make_folder(path / "logs");
  make_folder(path / "checkpoints");
  return RunFolder(path, std::move(lock));
}

fs::path RunFolder::log(const std::string& role, int rank) const {
  return path_ / "logs" / fmt::format("{}-{}.log", role, rank);
}

LinesFile::LinesFile(const fs::path& file) : path_(file) {
  const bool broken = ends_within_line(file);
  file_.reset(std::fopen(file.c_str(), "ae"));
  if (!file_) throw Error(Kind::environment, with_errno("cannot open " + file.string(), errno));
  // A line is one write; nothing waits in a buffer for a later one, or for the end, to fail.
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
  if (broken) put("\n");
}

void MetricsFile::write(const Json& event) {
  Json line = event;
  if (!line.contains("time")) line["time"] = utc_now();
  file_.put(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void LinesFile::put(const std::string& text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0)
    throw Error(Kind::environment, with_errno("cannot write " + path_.string(), errno));
}

}  // namespace dtrain::report

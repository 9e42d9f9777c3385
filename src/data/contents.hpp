#pragma once
/// A file's bytes, unpacked when they are gzip or zstd: told by their first bytes, never by the file's name.
/// Throws Error(Kind::data) with the file and, for damage, the byte offset in the packed file.

#include <memory>
#include <string>
#include <string_view>

#include "job/job.hpp"

namespace dtrain::data {

/// Bytes and who keeps them: mapped from a file that has them as they are, or unpacked in memory. Copies share.
class Contents {
 public:
  explicit Contents(std::string bytes);
  Contents(std::string_view bytes, std::shared_ptr<const void> owner) : bytes_(bytes), owner_(std::move(owner)) {}
  std::string_view bytes() const { return bytes_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  std::string_view bytes_;
  std::shared_ptr<const void> owner_;
};

/// `path` as the job means it: absolute, or relative to the job's data folder.
std::string resolve(const job::Data& data, const std::string& path);

/// As they are in the file.
Contents read_raw(const std::string& path);
Contents read_contents(const std::string& path);

bool is_packed(std::string_view bytes);

/// `packed` if it is not packed, else what is in it. Members and frames that follow one another are joined.
Contents unpack(Contents packed, const std::string& file);

}  // namespace dtrain::data

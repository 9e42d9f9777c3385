#pragma once
/// Tables that were parsed before, found by what they were parsed from and how.
///
/// A cached table is a mapped file, `CONTENT-HOW.rows`: the hash of the unpacked contents, and of all that decides what
/// is read from them. Of packed files there is also `PACKED-HOW.packed`, a link to it. Since contents are hashed when
/// files are opened, what is found is never stale. Writers do not disturb each other or readers: a file appears whole.
/// Where the folder cannot be written there is no cache.

#include <optional>
#include <string>

#include "data/data.hpp"
#include "data/files.hpp"

namespace dtrain::data {

class Cache {
 public:
  /// `first_file`: a path; the cache lies beside it unless the job says where.
  Cache(const job::Data& data, const job::Files& files, const Reading& reading, const std::string& first_file);

  /// nullopt: it is not there, or it is damaged.
  std::optional<Table> find(std::uint64_t content_hash) const;
  std::optional<Table> find_packed(std::uint64_t packed_hash) const;
  /// Returns the table as it now lies in the file; the given one where that cannot be.
  Table keep(const Table& table) const;
  void link(std::uint64_t packed_hash, std::uint64_t content_hash) const;

 private:
  std::string path(std::uint64_t hash, const char* ending) const;

  std::string folder_, origin_folder_, how_;
};

}  // namespace dtrain::data

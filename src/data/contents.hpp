#pragma once
/// A file's bytes, unpacked when they are gzip: told by their first two bytes, never by the file's name.
/// Throws Error(Kind::data) with the file and, for damage, the byte offset in the packed file.

#include <string>
#include <string_view>

#include "job/job.hpp"

namespace dtrain::data {

/// `path` as the job means it: absolute, or relative to the job's data folder.
std::string resolve(const job::Data& data, const std::string& path);

std::string read_contents(const std::string& path);

/// `packed` if it is not gzip, else what is in it. Members that follow one another are joined.
std::string unpack(std::string packed, const std::string& file);

}  // namespace dtrain::data

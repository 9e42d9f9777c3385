#pragma once
/// What a data file is, by its first bytes and lines: for commands that are given a file and no job.

#include <string>

#include "job/job.hpp"

namespace dtrain::data {

/// Format, delimiter, header and columns of mixed cells (csv.categorical) of a file, which becomes the training file;
/// `dir` is its folder.
/// Throws Error(Kind::data) if it cannot be read, or looks like none of the formats.
job::Data guess_data(const std::string& path);

}  // namespace dtrain::data

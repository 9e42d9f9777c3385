#pragma once
/// NPY, what numpy.save writes (versions 1 to 3), and arrays in NPZ archives: numbers in C order.

#include <string>

#include "data/arrays.hpp"

namespace dtrain::data {

/// `name` as the job has it, `file` for messages. The first dimension is that of the rows.
NumberArray parse_npy(Contents contents, const std::string& name, const std::string& file);

/// The file of array `member` ("x" or "x.npy", "" for the only one) in an archive. Throws Error(Kind::data), telling
/// which arrays there are.
Contents npz_member(const Contents& archive, const std::string& member, const std::string& file);

}  // namespace dtrain::data

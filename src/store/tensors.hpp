#pragma once
/// safetensors files (https://github.com/huggingface/safetensors, format description): an 8-byte little-endian header
/// length, a JSON header, then the numbers. F32 only.
///
/// The header is padded with blanks so that the numbers start at a multiple of 8. Any thread.

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"

namespace dtrain::store {

struct NamedTensor {
  std::string name;
  std::vector<Index> shape;
  std::span<const float> values;
};

/// What a file held. Move-only, because the entries point into `storage`.
struct TensorFile {
  struct Entry {
    std::vector<Index> shape;
    std::span<const float> values;
  };
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, Entry>> tensors;  ///< in file order
  std::vector<float> storage;
  /// nullptr if there is no tensor of that name. Tensors of one file are few: a plain search.
  const Entry* find(const std::string& name) const;

  TensorFile() = default;
  TensorFile(TensorFile&&) = default;
  TensorFile& operator=(TensorFile&&) = default;
};

/// The bytes of a file. Names and metadata in the order given; each tensor's values fill its shape.
std::string encode_tensors(const std::vector<NamedTensor>& tensors,
                           const std::vector<std::pair<std::string, std::string>>& metadata);

/// Writes and syncs. Throws Error(Kind::environment).
void write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const std::vector<std::pair<std::string, std::string>>& metadata);

/// Refuses (Error of `kind`, with the path and what is wrong): a header longer than the file or than 100 MB, JSON that
/// is no header, dtypes other than F32, shapes that do not match their ranges, ranges that overlap, leave holes or
/// leave the file.
TensorFile read_tensors(const std::filesystem::path& path, Kind kind);

/// The same from bytes in memory; `path` names them in messages.
TensorFile decode_tensors(std::string_view bytes, const std::string& path, Kind kind);

}  // namespace dtrain::store

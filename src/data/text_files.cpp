#include "data/text_files.hpp"

#include "base/file.hpp"
#include "base/hash.hpp"

namespace dtrain::data {

std::uint64_t hash_of(const std::vector<TextFile>& files) {
  std::uint64_t hash = 0;
  for (const TextFile& file : files) hash = fast_hash(bytes_of(file.text), hash);
  return hash;
}

Origin origin_of(Origin::Form form, const std::string& folder, const std::vector<TextFile>& files) {
  Origin origin;
  origin.form = form;
  origin.folder = folder;
  for (const TextFile& file : files) origin.files.push_back({file.name, "", 0, {}, {}});
  return origin;
}

}  // namespace dtrain::data

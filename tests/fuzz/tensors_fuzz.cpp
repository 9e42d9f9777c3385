/// Any bytes as a safetensors file: read, or refused with an Error, and what was read can be written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "store/tensors.hpp"

using namespace dtrain;

namespace {

/// The meaning of a file, for comparing two of them bit by bit.
bool same(const store::TensorFile& a, const store::TensorFile& b) {
  if (a.metadata != b.metadata || a.tensors.size() != b.tensors.size() || a.storage.size() != b.storage.size())
    return false;
  for (const auto& [name, entry] : a.tensors) {
    const auto* other = b.find(name);
    if (other == nullptr || other->shape != entry.shape || other->values.size() != entry.values.size()) return false;
    if (!entry.values.empty() && std::memcmp(other->values.data(), entry.values.data(), entry.values.size_bytes()) != 0)
      return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const store::TensorFile file = store::decode_tensors(bytes, "input", Kind::checkpoint);
    std::vector<store::NamedTensor> tensors;
    for (const auto& [name, entry] : file.tensors) tensors.push_back({name, entry.shape, entry.values});
    const std::string again = store::encode_tensors(tensors, {file.metadata.begin(), file.metadata.end()});
    if (!same(file, store::decode_tensors(again, "again", Kind::checkpoint))) std::abort();
  } catch (const Error& error) {
    if (error.kind() != Kind::checkpoint) std::abort();
  }
  return 0;
}

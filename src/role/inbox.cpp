#include "role/inbox.hpp"

#include <bit>
#include <cstring>

namespace dtrain::role {
namespace {

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % alignof(float) == 0; }

}  // namespace

bool Inbox::add(const plan::Slice& slice, wire::Message message) {
  const wire::Header& header = message.header;
  if (open_ && header.clock > clock_) clear();
  if (open_ && (header.clock != clock_ || header.rows != rows_)) return false;
  if (header.rows == 0) {
    if (open_) return false;
    open_ = true, clock_ = header.clock, rows_ = 0;
    loss_ = 0;
    return true;
  }
  if (header.piece >= messages_.size() || messages_[header.piece]) return false;
  const plan::Piece& piece = slice.pieces[header.piece % slice.pieces.size()];
  if (header.offset != static_cast<std::uint64_t>(piece.offset) ||
      header.count != static_cast<std::uint64_t>(piece.count))
    return false;
  open_ = true, clock_ = header.clock, rows_ = header.rows;
  loss_ = std::bit_cast<double>(header.note);
  ++have_;
  floats_[header.piece] = static_cast<const float*>(message.data());
  if (!aligned(message.data()) || (keeps_ && message.reading)) {
    std::vector<float>& copy = copies_[header.piece];
    copy.resize(header.count);
    std::memcpy(copy.data(), message.data(), message.size());
    floats_[header.piece] = copy.data();
    message.reading = {};
  }
  messages_[header.piece] = std::move(message);
  return true;
}

void Inbox::clear() {
  for (auto& message : messages_) message.reset();
  have_ = 0;
  open_ = false;
}

}  // namespace dtrain::role

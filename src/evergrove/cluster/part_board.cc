// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/part_board.h"

namespace evergrove::cluster {
namespace {

constexpr size_t kPartsAtOnce = 2;
constexpr size_t kReadersOfPart = 2;

}  // namespace

void PartBoard::remove_reader(Reader reader) {
  for (Part& part : parts_) part.readers.erase(reader);
  readers_.erase(reader);
}

bool PartBoard::may_take(const Part& part, Reader reader) const {
  if (part.is_done || part.readers.contains(reader)) return false;
  // Who could not read it tries again only if there is nobody else.
  return !part.has_failed.contains(reader) || readers_.size() <= part.has_failed.size();
}

std::optional<size_t> PartBoard::next(Reader reader) {
  const auto known = readers_.find(reader);
  if (known == readers_.end() || known->second >= kPartsAtOnce) return std::nullopt;
  std::optional<size_t> best;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    if (!may_take(part, reader)) continue;
    if (part.readers.empty()) {
      best = i;
      break;
    }
    if (known->second > 0 || part.readers.size() >= kReadersOfPart) continue;
    if (!best || part.given_at < parts_[*best].given_at) best = i;
  }
  if (!best) return std::nullopt;
  parts_[*best].readers.insert(reader);
  parts_[*best].given_at = ++gifts_;
  ++known->second;
  return best;
}

void PartBoard::give_back(Reader reader, size_t part) {
  if (parts_[part].readers.erase(reader) > 0) --readers_[reader];
}

bool PartBoard::finish(Reader reader, size_t part) {
  if (part >= parts_.size()) return false;
  give_back(reader, part);
  if (parts_[part].is_done) return false;
  parts_[part].is_done = true;
  parts_[part].failure = {};  // of another one, who could not
  ++done_count_;
  return true;
}

void PartBoard::fail(Reader reader, size_t part, Status why) {
  if (part >= parts_.size()) return;
  give_back(reader, part);
  Part& failed = parts_[part];
  if (failed.is_done) return;
  failed.has_failed.insert(reader);
  if (failed.failure.ok()) failed.failure = std::move(why);
  // Another one may see what this one does not.
  if (failed.has_failed.size() < 2 && readers_.size() > failed.has_failed.size()) return;
  failed.is_done = true;
  ++done_count_;
}

Status PartBoard::failure() const {
  for (const Part& part : parts_) {
    if (part.is_done && !part.failure.ok()) return part.failure;
  }
  return {};
}

}  // namespace evergrove::cluster

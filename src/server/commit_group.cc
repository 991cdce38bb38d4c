#include "server/commit_group.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/session.h"

namespace varve::server {
namespace {

// What a loop writes to the log itself: a few ms.
constexpr uint64_t kLoopWriteBytesMax = 8 << 20;

// A sync does not wait for company longer than that.
constexpr auto kPatienceMax = std::chrono::microseconds(200);
constexpr size_t kGroups = 3;

}  // namespace

void CommitGroup::Join(Session& session, engine::Lsn lsn) {
  // A write of hundreds of MB is left to the log's own thread, which syncs it along: this loop's
  // other connections do not wait for it. Those that write do, since the log has one order.
  const bool waits_for_disk = lsn != 0 && (engine_.sync_mode() == engine::SyncMode::kAlways ||
                                           lsn > engine_.log_written() + kLoopWriteBytesMax);
  Group& group = waits_for_disk ? syncing_ : gathering_;
  group.sessions.push_back(&session);
  group.lsn = std::max(group.lsn, lsn);
  PostCommit();
}

// Behind the connections that are ready now, so that they get into this group.
void CommitGroup::PostCommit() {
  if (std::exchange(posted_, true)) return;
  asio::post(context_, [this] {
    posted_ = false;
    SyncIfTime();
    if (!gathering_.sessions.empty()) Commit();
  });
}

void CommitGroup::Commit() {
  // A session that is resumed may join the next group at once.
  std::swap(gathering_, committing_);
  engine::Result<void> outcome;
  if (committing_.lsn != 0) outcome = engine_.WriteLog(committing_.lsn);
  NoteOutcome(outcome);
  for (Session* session : committing_.sessions) session->OnCommitted(outcome);
  committing_.sessions.clear();
  committing_.lsn = 0;
}

void CommitGroup::SyncIfTime() {
  if (sync_under_way_ || syncing_.sessions.empty()) return;
  if (IsTimeToSync()) {
    CommitDurably();
  } else {
    PostCommit();
  }
}

// Who writes all the time falls into three groups: one waits for the disk, one is being answered,
// one sends its next writes. So disk, loop and peers work at the same time. Left to themselves the
// groups would come to many small ones, each as expensive a sync as a large one, or to a single one
// that takes turns with the disk. Who writes now and then does not wait for others.
bool CommitGroup::IsTimeToSync() const {
  size_t members = 0;
  for (const size_t count : members_) members += count;
  return syncing_.sessions.size() * kGroups >= members || Clock::now() >= patience_ends_;
}

// The loop goes on meanwhile. Who joins until the disk answers makes up the next group.
void CommitGroup::CommitDurably() {
  sync_under_way_ = true;
  sync_began_ = Clock::now();
  std::swap(syncing_, durable_group_);
  CountMembers();
  // If all that the loop has wait for this, nobody is held up when it syncs by itself, and two
  // changes of threads are saved: one client gets a fifth more done.
  if (durable_group_.sessions.size() == connections_ &&
      durable_group_.lsn <= engine_.log_written() + kLoopWriteBytesMax) {
    return FinishDurably(engine_.SyncLog(durable_group_.lsn));
  }
  engine_.WhenDurable(durable_group_.lsn, [this](engine::Result<void> outcome) {
    asio::post(context_, [this, outcome = std::move(outcome)] { FinishDurably(outcome); });
  });
}

void CommitGroup::CountMembers() {
  ++syncs_;
  members_[syncs_ % kRoundSyncs] = 0;
  for (Session* session : durable_group_.sessions) {
    const uint64_t last = std::exchange(session->last_sync, syncs_);
    if (last != 0 && last + kRoundSyncs > syncs_) --members_[last % kRoundSyncs];
    ++members_[syncs_ % kRoundSyncs];
  }
}

void CommitGroup::FinishDurably(const engine::Result<void>& outcome) {
  if (outcome) durable_ = std::max(durable_, durable_group_.lsn);
  NoteOutcome(outcome);
  sync_under_way_ = false;
  const Clock::time_point now = Clock::now();
  patience_ends_ = now + std::min<Clock::duration>(now - sync_began_, kPatienceMax);
  std::swap(durable_group_, answered_);
  // First the disk gets its next work, then the peers their replies.
  SyncIfTime();
  for (Session* session : answered_.sessions) session->OnCommitted(outcome);
  answered_.sessions.clear();
  answered_.lsn = 0;
}

void CommitGroup::NoteOutcome(const engine::Result<void>& outcome) {
  if (outcome || failed_) return;
  failed_ = true;
  log_.error("Writes are refused from now on, the log can't be written: {}",
             outcome.error().context);
}

}  // namespace varve::server

// The console's words, in English. Another language is another file with the same names.

export const TEXT = {
  brand: 'Console', key: 'API key', use: 'Use key', forget: 'Forget', calls: 'Calls made', noKey: 'Enter a key with write or admin.',
  noKeyHint: 'It stays in this tab and is gone when the tab is closed.', working: 'Working…', done: 'Done', more: 'More', none: 'Nothing here.',
  places: { moderate: 'Moderate', quarantine: 'Quarantine', namespaces: 'Namespaces', keys: 'Keys', events: 'Events', health: 'Health' },
  namespace: 'Namespace', find: 'Find', user: 'User', userHint: 'Id or name, or its beginning', grant: 'Grant id', window: 'Window', open: 'Open',
  board: 'Board', explain: 'Why this score', score: 'Score', rank: 'Rank', ranks: 'Where they stand', grantsCount: 'Grants', hidden: 'Hidden',
  hide: 'Hide', unhide: 'Show again', name: 'Name', periods: {
    all: 'All time', year: 'Year', quarter: 'Quarter', month: 'Month', week: 'Week', day: 'Day', hour: 'Hour',
  },
  at: 'Granted at', amount: 'Amount', sum: 'Running sum', source: 'Source', category: 'Category', revision: 'Revision', state: 'State',
  counts: 'counts', voided: 'void', quarantined: 'in quarantine', reason: 'Reason', actor: 'By', verb: 'What', recorded: 'Recorded at',
  void: 'Void', edit: 'Edit', restore: 'Restore', approve: 'Approve', tryIt: 'Show what would change', doIt: 'Do it', cancel: 'Cancel',
  wouldChange: 'What would change', noMoves: 'No board would change.', undone: 'Done. The boards now:', proven: 'Read again from the boards', newAmount: 'New amount',
  asSaid: 'as the dry run said', notAsSaid: 'differs from the dry run: others wrote meanwhile', before: 'Before', after: 'After',
  noScore: '—', lag: 'Entries that the ledger lacks', partOf: 'The running sum is that of the grants shown.', revisions: 'Revisions',
  rules: 'Rules', save: 'Save', create: 'New namespace', createKey: 'New key', gap: 'Gap to the next', id: 'Id', may: 'Scopes', made: 'Made at', rule: 'Rule', value: 'Value',
  lockable: 'locked once it holds grants: it would change what recorded scores mean', free: 'may be changed', partly: {
    statistics: 'may be switched off, and not on again', bounded_sums: 'may be switched off, and not on again',
    ranking: 'dense is locked, both ways, once it holds grants', seasons: 'a season is locked once grants may lie in it',
  },
 
  locked: 'Locked: it would change the meaning of recorded scores.',
  rulesHint: 'The whole set of rules. What is left out is default.', scopes: 'Scopes, separated by spaces', rotate: 'Rotate', revoke: 'Revoke',
  revokeSure: 'Revoke for good', once: 'Shown once. Copy it now:', revoked: 'revoked', valid: 'valid', own: 'this key', grace: 'Grace, seconds',
  type: 'Type', what: 'What', follow: 'Newer ones', ready: 'Writes are taken', unready: 'Writes are refused', refused: 'Grants refused in batches',
  sockets: 'Live connections', drift: 'Namespaces that drift', degraded: 'Degraded', capacity: 'Capacity', visibility: 'Visibility', mode: 'Mode',
};

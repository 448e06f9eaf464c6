drop table if exists meeting_invitees;
drop table if exists meetings;
drop table if exists users;

UPDATE projection_current_consent.current_consent SET toggle = 'on';
